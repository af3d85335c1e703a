/** Every built-in network by name, whatever its family. */
import { type Chain, EVM_CHAINS, UTXO_CHAINS } from "../../shared/chain.ts";
import { SprintError } from "../../shared/errors.ts";
import { codecFor } from "./codec.ts";
import { evmCodecFor } from "./evm/codec.ts";
import { evmNetworksOf, evmParamsFor } from "./evm/params.ts";
import { networksOf, paramsFor } from "./params.ts";
import { type SvmCodecOptions, svmCodecFor } from "./svm/codec.ts";
import { svmNetworks, svmParams } from "./svm/params.ts";
import type { ChainCodec } from "./types.ts";

/** Throws SPRINT_CHAIN_UNKNOWN for a chain that is not built in, SPRINT_CHAIN_UNKNOWN_NETWORK for a network that is in no row. */
export function codecOf(chain: Chain, network: string, ofSvm: Partial<SvmCodecOptions> = {}): ChainCodec {
  if (includes(UTXO_CHAINS, chain)) return codecFor(paramsFor(chain, network));
  if (includes(EVM_CHAINS, chain)) return evmCodecFor(evmParamsFor(chain, network));
  if (chain === "solana") return svmCodecFor(svmParams(network), ofSvm);
  throw new SprintError("SPRINT_CHAIN_UNKNOWN", `expected a built-in chain, got ${chain}`, { chain });
}

/** Null for a chain that is not built in. */
export function networkNamesOf(chain: Chain): readonly string[] | null {
  if (includes(UTXO_CHAINS, chain)) return networksOf(chain).map(({ network }) => network);
  if (includes(EVM_CHAINS, chain)) return evmNetworksOf(chain).map(({ network }) => network);
  return chain === "solana" ? svmNetworks().map(({ network }) => network) : null;
}

function includes(chains: readonly string[], chain: string): boolean {
  return chains.includes(chain);
}
