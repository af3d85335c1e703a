/** The chains this build relays, and the family each belongs to. */

export const CHAINS = ["bitcoin", "litecoin", "dogecoin"] as const;
export type Chain = (typeof CHAINS)[number];

/** A family shares one codec; its chains are rows of parameters. */
export type ChainFamily = "utxo";

export const CHAIN_FAMILY: Readonly<Record<Chain, ChainFamily>> = {
  bitcoin: "utxo",
  litecoin: "utxo",
  dogecoin: "utxo",
};

export function isChain(value: unknown): value is Chain {
  return typeof value === "string" && (CHAINS as readonly string[]).includes(value);
}
