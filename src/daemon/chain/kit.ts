/**
 * What a plug-in is made with. Its module's default export is a function that is given the kit and returns a chain: `(kit) => ({ api: 1,
 * chain, networks, codec })`. It imports nothing of ours at run time, so that it runs in the daemon, in its proof threads, and in a
 * test alike; the same codec is made in each of them.
 */
import type { Chain } from "../../shared/chain.ts";
import { codecFor } from "./codec.ts";
import { type EvmCodec, evmCodecFor } from "./evm/codec.ts";
import { evmParamsFor } from "./evm/params.ts";
import type { EvmParams } from "./evm/types.ts";
import { paramsFor } from "./params.ts";
import { type SvmCodec, svmCodecFor } from "./svm/codec.ts";
import { type SvmParams, svmParams } from "./svm/params.ts";
import type { ChainCodec, NetworkParams, UtxoCodec } from "./types.ts";

/** Changes when a plug-in of before could not run any more. */
export const PLUGIN_API = 1;

/** Of each family: a codec by parameters, and the parameters of a built-in network to begin with (throws SPRINT_CHAIN_*). */
export interface ChainKit {
  readonly api: typeof PLUGIN_API;
  readonly utxo: {
    codec(params: NetworkParams): UtxoCodec;
    params(chain: Chain, network: string): NetworkParams;
  };
  readonly evm: {
    codec(params: EvmParams): EvmCodec;
    params(chain: Chain, network: string): EvmParams;
  };
  readonly svm: {
    codec(params: SvmParams): SvmCodec;
    params(network: string): SvmParams;
  };
}

/** A chain as a plug-in brings it. Its upstreams are listened to as those of its codec's family are. */
export interface ChainDefinition {
  readonly api: typeof PLUGIN_API;
  /** Lower-case letters, digits and dashes, and no built-in chain's name. */
  readonly chain: Chain;
  /** How its upstreams are named: `tiny-1`. By default as the chain. */
  readonly shortName?: string;
  /** Names of its networks, the usual one first. */
  readonly networks: readonly string[];
  /** The codec of one of them: made by the kit, with methods of its own where the chain differs. */
  codec(network: string): ChainCodec;
}

export type ChainPlugin = (kit: ChainKit) => ChainDefinition;

export const CHAIN_KIT: ChainKit = Object.freeze({
  api: PLUGIN_API,
  utxo: { codec: codecFor, params: paramsFor },
  evm: { codec: evmCodecFor, params: evmParamsFor },
  svm: { codec: (params: SvmParams) => svmCodecFor(params), params: svmParams },
});
