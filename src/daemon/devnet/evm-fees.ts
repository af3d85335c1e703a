/** eth_feeHistory: what gas cost in each of the last blocks, and what was paid above it. */
import type { EvmChain } from "./evm-chain.ts";
import { type EvmMinedBlock, MAX_BLOB_GAS, blobGasPriceOf, nextBaseFee, nextBlobGasPrice } from "./evm-miner.ts";
import { RPC_CODE, RpcRefusal } from "./rpc-error.ts";
import { quantity } from "./evm-rpc-views.ts";

const MAX_BLOCKS = 1_024;

/** Of `count` blocks up to `newest`; `percentiles` are of the gas used, rising from 0 to 100. */
export function feeHistory(
  chain: EvmChain,
  newest: EvmMinedBlock,
  count: number,
  percentiles: readonly number[],
): object {
  if (!percentiles.every((each, i) => each >= 0 && each <= 100 && each >= (percentiles[i - 1] ?? 0)))
    throw new RpcRefusal(RPC_CODE.INVALID_PARAMS, "invalid reward percentile: expected numbers rising from 0 to 100");
  const blocks: EvmMinedBlock[] = [];
  for (let number = newest.header.number; blocks.length < Math.min(count, MAX_BLOCKS); number--) {
    const block = number === newest.header.number ? newest : chain.at(number);
    if (block === undefined) break;
    blocks.unshift(block);
  }
  const headers = blocks.map(({ header }) => header);
  return {
    oldestBlock: quantity(headers[0]?.number ?? newest.header.number),
    baseFeePerGas: [...headers.map(({ baseFeePerGas }) => baseFeePerGas ?? 0n), nextBaseFee(newest.header)].map(
      quantity,
    ),
    gasUsedRatio: headers.map(({ gasUsed, gasLimit }) => Number(gasUsed) / Number(gasLimit)),
    baseFeePerBlobGas: [...headers.map(blobGasPriceOf), nextBlobGasPrice(newest.header)].map(quantity),
    blobGasUsedRatio: headers.map(({ blobGasUsed }) => Number(blobGasUsed) / Number(MAX_BLOB_GAS)),
    ...(percentiles.length === 0 ? {} : { reward: blocks.map((block) => rewards(block, percentiles)) }),
  };
}

/** The tip at each share of the block's gas, cheapest first; zero in an empty block. */
function rewards({ header, receipts }: EvmMinedBlock, percentiles: readonly number[]): string[] {
  const paid = receipts
    .map(({ effectiveGasPrice, gasUsed }) => ({ tip: effectiveGasPrice - (header.baseFeePerGas ?? 0n), gasUsed }))
    .toSorted((a, b) => (a.tip < b.tip ? -1 : 1));
  return percentiles.map((share) => {
    let left = (Number(header.gasUsed) * share) / 100;
    const at = paid.find(({ gasUsed }) => (left -= Number(gasUsed)) <= 0);
    return quantity(at?.tip ?? paid.at(-1)?.tip ?? 0n);
  });
}
