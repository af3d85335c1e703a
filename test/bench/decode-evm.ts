/**
 * Rows of `decode` for Ethereum and its like: from the text of a node's JSON, or from RLP, to the verdict over header, roots, bloom,
 * hashes and gas. Then, on the same real blocks and in the same rounds, blocks without their receipts beside @ethereumjs/block (the block made of the
 * same JSON, its hash, the roots of transactions and withdrawals) and beside ethers, which has no tries (RLP and Keccak-256 of header and transactions
 * only); and what both stand on: Keccak-256 and the trie.
 */
import { createBlockFromRPC, genTransactionsTrieRoot, type JSONRPCBlock } from "@ethereumjs/block";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { encodeRlp, keccak256 as ethersKeccak256, toBeArray, Transaction, type TransactionLike } from "ethers";
import {
  checkEvmBlock,
  evmBlockFromJson,
  evmBlockFromRlp,
  evmParamsFor,
  evmReceiptsFromJson,
  evmReceiptsFromRlp,
  hexOf,
  keccak256,
  orderedTrieRoot,
  parseJson,
} from "../../src/daemon/chain/index.ts";
import type { EvmChain } from "../../src/shared/chain.ts";
import { readData } from "../fakes/data.ts";
import { type BenchDocument, check, median } from "./document.ts";

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
/** Without blobs, for which @ethereumjs/tx wants a library of KZG commitments. */
const PEER_BLOCKS = [13_998_626, 16_899_757, 17_300_000, 18_000_000] as const;
/** To reach: this many times their blocks a second. */
const TARGET_RATIO = 3;

interface Sample {
  readonly what: string;
  readonly bytes: number;
  readonly check: () => void;
  readonly ms: number[];
}

export async function evmRows(rounds: number, quick: boolean): Promise<Pick<BenchDocument, "rows" | "checks">> {
  const samples = [...JSON_BLOCKS.map(([chain, number]) => jsonSample(chain, number)), ...RLP_BLOCKS.map(rlpSample)];
  for (let i = 0; i < 8; i++) for (const { check: run } of samples) run();
  for (let round = 0; round < rounds; round++) for (const { check: run, ms } of samples) ms.push(timed(run));
  const totals = sums(samples.map(({ ms }) => ms));
  const bytes = samples.reduce((sum, sample) => sum + sample.bytes, 0);
  const peers = await peerRows(rounds);
  return {
    rows: [
      ...samples.map(({ what, bytes: size, ms }) => row(what, size, 1, median(ms))),
      row("all of these blocks with their receipts", bytes, samples.length, median(totals)),
      ...peers.rows,
      ...keccakRows(quick),
    ],
    checks: peers.checks,
  };
}

function row(what: string, bytes: number, blocks: number, ms: number, other: number | null = null): Rows[number] {
  return {
    what,
    bytes,
    "sprint MB/s": bytes / ms / 1e3,
    "other MB/s": other === null ? null : bytes / other / 1e3,
    ratio: other === null ? null : other / ms,
    "blocks/s": (blocks * 1e3) / ms,
  };
}

function jsonSample(chain: EvmChain, number: number): Sample {
  const params = evmParamsFor(chain, "mainnet");
  const block = readData(`${chain}/rpc/${number}.block.json`);
  const receipts = readData(`${chain}/rpc/${number}.receipts.json`);
  const run = (): void => {
    const verdict = checkEvmBlock(
      evmBlockFromJson(parseJson(block), params),
      evmReceiptsFromJson(parseJson(receipts)),
      params,
    );
    if (!verdict.ok) throw new Error(`${chain} ${number}: ${verdict.refusal.message}`);
  };
  return { what: `${chain} ${number}, JSON`, bytes: block.length + receipts.length, check: run, ms: [] };
}

function rlpSample(number: number): Sample {
  const params = evmParamsFor("ethereum", "mainnet");
  const block = readData(`ethereum/rlp/${number}.block.rlp`);
  const receipts = readData(`ethereum/rlp/${number}.receipts.rlp`);
  const run = (): void => {
    const verdict = checkEvmBlock(evmBlockFromRlp(block).block, evmReceiptsFromRlp(receipts), params);
    if (!verdict.ok) throw new Error(`ethereum ${number}: ${verdict.refusal.message}`);
  };
  return { what: `ethereum ${number}, RLP`, bytes: block.length + receipts.length, check: run, ms: [] };
}

/** One piece of work, done by each; milliseconds by round. */
interface Race {
  readonly name: string;
  readonly bytes: number;
  readonly runners: Readonly<Record<Runner, (() => void | Promise<void>) | null>>;
  readonly ms: Readonly<Record<Runner, number[]>>;
}
const RUNNERS = ["sprint", "ethereumjs", "ethers"] as const;
type Runner = (typeof RUNNERS)[number];

async function peerRows(rounds: number): Promise<Pick<BenchDocument, "rows" | "checks">> {
  const blocks = PEER_BLOCKS.map(blockRace);
  const tries = await Promise.all(PEER_BLOCKS.map(trieRace));
  const all = [...blocks, ...tries];
  for (let i = 0; i < 3; i++) for (const race of all) await runRound(race, i, false);
  for (let round = 0; round < rounds; round++) for (const race of all) await runRound(race, round, true);
  const total = (races: readonly Race[], who: Runner): number[] => sums(races.map(({ ms }) => ms[who]));
  const ratioTo = (races: readonly Race[], who: Runner): number => {
    const ours = total(races, "sprint");
    return median(total(races, who).map((ms, i) => ms / (ours[i] ?? Number.NaN)));
  };
  const rowsBeside = (races: readonly Race[], who: Runner, what: string): Rows => [
    ...races.map(({ name, bytes, ms }) => row(`${name}, beside ${what}`, bytes, 1, median(ms.sprint), median(ms[who]))),
    row(
      `all of these, beside ${what}`,
      races.reduce((sum, { bytes }) => sum + bytes, 0),
      races.length,
      median(total(races, "sprint")),
      median(total(races, who)),
    ),
  ];
  const named = (peer: string): string => `blocks of Ethereum, header and roots, beside ${peer} (median of rounds)`;
  return {
    rows: [
      ...rowsBeside(blocks, "ethereumjs", "@ethereumjs/block"),
      ...rowsBeside(blocks, "ethers", "ethers (no roots)"),
      ...rowsBeside(tries, "ethereumjs", "@ethereumjs/mpt"),
    ],
    checks: [
      check(named("@ethereumjs/block"), ratioTo(blocks, "ethereumjs"), ">=", TARGET_RATIO),
      check(named("ethers"), ratioTo(blocks, "ethers"), ">=", TARGET_RATIO),
    ],
  };
}

/** Who goes first alternates, so that nobody always finds another's garbage. */
async function runRound({ runners, ms }: Race, round: number, counts: boolean): Promise<void> {
  const order = RUNNERS.map((_, i) => RUNNERS[(i + round) % RUNNERS.length] as Runner);
  for (const who of order) {
    const run = runners[who];
    if (run === null) continue;
    const start = performance.now();
    await run();
    if (counts) ms[who].push(performance.now() - start);
  }
}

function blockRace(number: number): Race {
  const params = evmParamsFor("ethereum", "mainnet");
  const bytes = readData(`ethereum/rpc/${number}.block.json`);
  const text = bytes.toString();
  const wrong = (who: string): Error => new Error(`ethereum ${number}: refused by ${who}`);
  return {
    name: `ethereum ${number} without receipts`,
    bytes: bytes.length,
    ms: { sprint: [], ethereumjs: [], ethers: [] },
    runners: {
      sprint: () => {
        if (!checkEvmBlock(evmBlockFromJson(parseJson(text), params), null, params).ok) throw wrong("sprint");
      },
      ethereumjs: async () => {
        const json = JSON.parse(text) as JSONRPCBlock;
        const block = createBlockFromRPC(json, [], { setHardfork: true });
        const holds = hexOf(block.hash()) === json.hash && (await block.transactionsTrieIsValid());
        if (!holds || (json.withdrawalsRoot !== undefined && !(await block.withdrawalsTrieIsValid())))
          throw wrong("@ethereumjs/block");
      },
      ethers: () => {
        const json = JSON.parse(text) as JsonBlock;
        if (ethersKeccak256(encodeRlp(headerOf(json))) !== json["hash"]) throw wrong("ethers");
        for (const each of json.transactions) if (transactionOf(each).hash !== each.hash) throw wrong("ethers");
      },
    },
  };
}

/** The root over the transactions of a block, from their bytes; @ethereumjs/mpt is given transactions that it has serialised before. */
async function trieRace(number: number): Promise<Race> {
  const params = evmParamsFor("ethereum", "mainnet");
  const text = readData(`ethereum/rpc/${number}.block.json`).toString();
  const { transactions, header } = evmBlockFromJson(parseJson(text), params);
  const leaves = (transactions ?? []).flatMap(({ raw }) => (raw === null ? [] : raw));
  const peer = createBlockFromRPC(JSON.parse(text) as JSONRPCBlock, [], { setHardfork: true }).transactions;
  const serialised = peer.map((transaction, i) =>
    Object.create(transaction, { serialize: { value: () => leaves[i] } }),
  );
  const expect = (root: Uint8Array): void => {
    if (hexOf(root) !== header.transactionsRoot) throw new Error(`ethereum ${number}: another root`);
  };
  return {
    name: `root of ${leaves.length} transactions`,
    bytes: leaves.reduce((sum, { length }) => sum + length, 0),
    ms: { sprint: [], ethereumjs: [], ethers: [] },
    runners: {
      sprint: () => expect(orderedTrieRoot(leaves)),
      ethereumjs: async () => expect(await genTransactionsTrieRoot(serialised as typeof peer)),
      ethers: null,
    },
  };
}

interface JsonTransaction extends Readonly<Record<string, string>> {
  readonly hash: string;
}
interface JsonBlock extends Readonly<Record<string, unknown>> {
  readonly transactions: readonly JsonTransaction[];
}

const HEADER_DATA = ["parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom"];
const HEADER_NUMBERS = ["difficulty", "number", "gasLimit", "gasUsed", "timestamp"];
const HEADER_TAIL = ["extraData", "mixHash", "nonce"];
/** Of later forks; numbers where true. */
const HEADER_LATER: readonly (readonly [name: string, isNumber: boolean])[] = [
  ["baseFeePerGas", true],
  ["withdrawalsRoot", false],
  ["blobGasUsed", true],
  ["excessBlobGas", true],
  ["parentBeaconBlockRoot", false],
  ["requestsHash", false],
];

function headerOf(json: JsonBlock): (string | Uint8Array)[] {
  const data = (name: string): string => json[name] as string;
  const number = (name: string): Uint8Array => toBeArray(json[name] as string);
  const later = HEADER_LATER.filter(([name]) => json[name] !== undefined);
  return [
    ...HEADER_DATA.map(data),
    ...HEADER_NUMBERS.map(number),
    ...HEADER_TAIL.map(data),
    ...later.map(([name, isNumber]) => (isNumber ? number(name) : data(name))),
  ];
}

function transactionOf(json: JsonTransaction): Transaction {
  const { type, to, nonce, gas, gasPrice, value, input, chainId, accessList, r, s, v } = json;
  const optional = ["maxFeePerGas", "maxPriorityFeePerGas", "maxFeePerBlobGas", "blobVersionedHashes"] as const;
  const legacy = type === "0x0" || type === "0x1" ? { gasPrice } : {};
  return Transaction.from({
    type: Number(type),
    to: to ?? null,
    nonce: Number(nonce),
    gasLimit: gas,
    value,
    data: input,
    ...legacy,
    ...(chainId === undefined ? {} : { chainId }),
    ...(accessList === undefined ? {} : { accessList }),
    ...Object.fromEntries(optional.flatMap((name) => (json[name] === undefined ? [] : [[name, json[name]]]))),
    signature: { r, s, v },
  } as unknown as TransactionLike);
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

/** Of each round, over all. */
function sums(series: readonly (readonly number[])[]): number[] {
  const rounds = series[0]?.length ?? 0;
  return Array.from({ length: rounds }, (_, i) => series.reduce((sum, ms) => sum + (ms[i] ?? Number.NaN), 0));
}

function repeat(count: number, work: () => void): void {
  for (let i = 0; i < count; i++) work();
}

function timed(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}
