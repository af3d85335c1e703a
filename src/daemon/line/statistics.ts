/** The stats of one chain, by its family: the rules that their forecasts need come from the codec. */
import {
  type ChainCodec,
  type EvmCodec,
  type EvmParent,
  type EvmRules,
  type SvmCodec,
  type UtxoCodec,
  GAS_PER_BLOB,
  baseFeeAfter,
  blobBaseFee,
  evmRulesAt,
  excessBlobGasAfter,
  expandBits,
  poolOf,
} from "../chain/index.ts";
import {
  type BlobMarket,
  type ChainStats,
  EvmStats,
  type EvmStatsModules,
  type FeeParent,
  type StatsOptions,
  SvmStats,
  UtxoStats,
} from "../stats/index.ts";

/** `network` is the name shown. */
export function statsOf(codec: ChainCodec, network: string): ChainStats {
  const { chain, blockTimeSeconds } = codec;
  const options: StatsOptions = { chain, network, blockTimeSeconds };
  switch (codec.family) {
    case "utxo": {
      const { headerRules } = (codec as UtxoCodec).params;
      const { retarget, powLimit } = headerRules;
      return new UtxoStats(
        { ...options, retarget, powLimit },
        { targetOf: expandBits, poolOf: (script) => poolOf(script) },
      );
    }
    case "evm":
      return new EvmStats(options, evmForecast(codec as EvmCodec));
    case "svm":
      return new SvmStats({ ...options, blockTimeSeconds: (codec as SvmCodec).blockTimeSeconds });
  }
}

function evmForecast({ params, blockTimeSeconds }: EvmCodec): EvmStatsModules {
  /** What is not always so is good enough for a forecast. */
  const nextRules = ({ height, timestamp }: FeeParent): EvmRules => {
    const rules = evmRulesAt(params, height + 1, timestamp + blockTimeSeconds);
    const usual = rules.baseFee?.kind === "own" ? rules.baseFee.usual : undefined;
    return usual === undefined ? rules : { ...rules, baseFee: { kind: "eip1559", ...usual } };
  };
  const parentOf = (block: FeeParent): EvmParent => ({ ...block, hash: "", number: block.height });
  return {
    nextBaseFee: (block) => baseFeeAfter(parentOf(block), nextRules(block)),
    gasTarget(block) {
      const rule = nextRules(block).baseFee;
      return rule?.kind === "eip1559" || rule?.kind === "holocene" ? block.gasLimit / rule.elasticity : null;
    },
    blobMarket(block): BlobMarket | null {
      const rule = nextRules(block).blobs;
      const next = excessBlobGasAfter(parentOf(block), rule);
      if (rule?.kind !== "market" || next === null || block.excessBlobGas === null) return null;
      return {
        targetBlobs: Number(rule.targetGas / GAS_PER_BLOB),
        maxBlobs: Number(rule.maxGas / GAS_PER_BLOB),
        feeWei: blobBaseFee(block.excessBlobGas, rule.updateFraction),
        nextFeeWei: blobBaseFee(next, rule.updateFraction),
      };
    },
  };
}
