/** The chains this build relays, and the family each belongs to. A plug-in may bring more. */

export const UTXO_CHAINS = ["bitcoin", "litecoin", "dogecoin"] as const;
export type UtxoChain = (typeof UTXO_CHAINS)[number];

export const EVM_CHAINS = ["ethereum", "polygon", "arbitrum", "optimism", "base", "bsc"] as const;
export type EvmChain = (typeof EVM_CHAINS)[number];

/** The order is part of every cursor: new ones go to the end. */
export const CHAINS = [
  "bitcoin",
  "litecoin",
  "dogecoin",
  "ethereum",
  "solana",
  "polygon",
  "arbitrum",
  "optimism",
  "base",
  "bsc",
] as const;
export type BuiltInChain = (typeof CHAINS)[number];

/** A built-in chain's name, or that of a chain which a plug-in brings. */
export type Chain = BuiltInChain | (string & {});

/** A family shares one codec; its chains are rows of parameters. */
export type ChainFamily = "utxo" | "evm" | "svm";

/** What a chain may be called. */
export const CHAIN_NAME = /^[a-z][a-z0-9-]{0,31}$/;

export function isBuiltIn(value: unknown): value is BuiltInChain {
  return typeof value === "string" && (CHAINS as readonly string[]).includes(value);
}
