/**
 * Rows of `decode` for Ethereum and its like: from the text of a node's JSON, or from RLP, to the verdict over header, roots, bloom,
 * hashes and gas, and Keccak-256 alone beside @noble/hashes. There is no library beside the blocks: none of them is installed.
 */
import { keccak_256 } from "@noble/hashes/sha3.js";
import {
  checkEvmBlock,
  evmBlockFromJson,
  evmBlockFromRlp,
  evmParamsFor,
  evmReceiptsFromJson,
  evmReceiptsFromRlp,
  parseJson,
} from "../../src/daemon/chain/index.ts";
import type { EvmChain } from "../../src/shared/chain.ts";
import { keccak256 } from "../../src/daemon/chain/evm/keccak.ts";
import { readData } from "../fakes/data.ts";
import { type BenchDocument, median } from "./document.ts";

type Rows = BenchDocument["rows"];

const JSON_BLOCKS: readonly (readonly [chain: EvmChain, number: number])[] = [
  ["ethereum", 16_899_757],
  ["ethereum", 17_300_000],
  ["ethereum", 18_000_000],
  ["ethereum", 22_119_617],
  ["polygon", 40_000_000],
  ["optimism", 154_497_277],
];
const RLP_BLOCKS = [15_547_621, 17_034_870, 22_162_263, 22_869_878] as const;

interface Sample {
  readonly what: string;
  readonly bytes: number;
  readonly check: () => void;
  readonly ms: number[];
}

export function evmRows(rounds: number, quick: boolean): Rows {
  const samples = [...JSON_BLOCKS.map(([chain, number]) => jsonSample(chain, number)), ...RLP_BLOCKS.map(rlpSample)];
  for (let i = 0; i < 8; i++) for (const { check } of samples) check();
  for (let round = 0; round < rounds; round++) for (const { check, ms } of samples) ms.push(timed(check));
  const totals = Array.from({ length: rounds }, (_, i) =>
    samples.reduce((sum, { ms }) => sum + (ms[i] ?? Number.NaN), 0),
  );
  const bytes = samples.reduce((sum, sample) => sum + sample.bytes, 0);
  return [
    ...samples.map(({ what, bytes: size, ms }) => row(what, size, 1, median(ms))),
    row("all of these blocks with their receipts", bytes, samples.length, median(totals)),
    ...keccakRows(quick),
  ];
}

function row(what: string, bytes: number, blocks: number, ms: number): Rows[number] {
  return {
    what,
    bytes,
    "sprint MB/s": bytes / ms / 1e3,
    "other MB/s": null,
    ratio: null,
    "blocks/s": (blocks * 1e3) / ms,
  };
}

function jsonSample(chain: EvmChain, number: number): Sample {
  const params = evmParamsFor(chain, "mainnet");
  const block = readData(`${chain}/rpc/${number}.block.json`);
  const receipts = readData(`${chain}/rpc/${number}.receipts.json`);
  const check = (): void => {
    const verdict = checkEvmBlock(
      evmBlockFromJson(parseJson(block), params),
      evmReceiptsFromJson(parseJson(receipts)),
      params,
    );
    if (!verdict.ok) throw new Error(`${chain} ${number}: ${verdict.refusal.message}`);
  };
  return { what: `${chain} ${number}, JSON`, bytes: block.length + receipts.length, check, ms: [] };
}

function rlpSample(number: number): Sample {
  const params = evmParamsFor("ethereum", "mainnet");
  const block = readData(`ethereum/rlp/${number}.block.rlp`);
  const receipts = readData(`ethereum/rlp/${number}.receipts.rlp`);
  const check = (): void => {
    const verdict = checkEvmBlock(evmBlockFromRlp(block).block, evmReceiptsFromRlp(receipts), params);
    if (!verdict.ok) throw new Error(`ethereum ${number}: ${verdict.refusal.message}`);
  };
  return { what: `ethereum ${number}, RLP`, bytes: block.length + receipts.length, check, ms: [] };
}

/** The lengths that tries are made of: keys, small and large transactions, full branches. */
function keccakRows(quick: boolean): Rows {
  const total = quick ? 200_000 : 1_000_000;
  return [32, 110, 250, 532, 2000].map((length) => {
    const message = new Uint8Array(length).fill(7);
    const count = Math.floor(total / length);
    const [own, other]: [number[], number[]] = [[], []];
    for (let i = 0; i < 7; i++) {
      own.push(timed(() => repeat(count, () => keccak256(message))));
      other.push(timed(() => repeat(count, () => keccak_256(message))));
    }
    const [ours, theirs] = [median(own), median(other)];
    return {
      what: `Keccak-256 of ${length} bytes, beside @noble/hashes`,
      bytes: count * length,
      "sprint MB/s": (count * length) / ours / 1e3,
      "other MB/s": (count * length) / theirs / 1e3,
      ratio: theirs / ours,
    };
  });
}

function repeat(count: number, work: () => void): void {
  for (let i = 0; i < count; i++) work();
}

function timed(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}
