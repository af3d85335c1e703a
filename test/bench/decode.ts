/**
 * Parse and fully validate the real Bitcoin blocks of the chain data, beside bitcoinjs-lib parsing and checking the same bytes
 * (`Block.fromBuffer` and `checkTxRoots`: merkle root and witness commitment only, a subset of what is proved here). Then blocks of
 * Ethereum and its like, and the hashes of both.
 */
import { readFileSync } from "node:fs";
import { hash } from "node:crypto";
import { Block } from "bitcoinjs-lib";
import { checkBody } from "../../src/daemon/chain/body.ts";
import { paramsFor } from "../../src/daemon/chain/index.ts";
import { batchHasher } from "../../src/daemon/chain/sha256.ts";
import { hasData, readData } from "../fakes/data.ts";
import { solana } from "./decode-solana.ts";
import { evmRows } from "./decode-evm.ts";
import { type BenchDocument, type BenchOptions, check, machine, median } from "./document.ts";

const BLOCKS = [
  "200000.raw",
  "300025.raw",
  "363703.raw",
  "370661.raw",
  "413567.raw",
  "426884.raw",
  "481815.raw",
  "481824.raw",
  "540107.raw.gz",
  "702861.raw.gz",
  "766391.raw",
  "866342.raw.gz",
] as const;
const PEERS = ["bitcoinjs-lib", "@ethereumjs/block", "ethers", "@noble/hashes"];
/** To reach: this many times the bytes a second. */
const TARGET_RATIO = 6;

interface Sample {
  readonly name: string;
  readonly height: number;
  readonly raw: Buffer;
  readonly ours: number[];
  readonly theirs: number[];
}

export async function run({ quick, progress }: BenchOptions): Promise<BenchDocument> {
  if (!hasData) throw new Error("decode needs the chain data: set SPRINT_CHAIN_DATA to its folder");
  const params = paramsFor("bitcoin", "mainnet");
  const rounds = quick ? 3 : 15;
  const samples: Sample[] = BLOCKS.map((file) => ({
    name: file.replace(/\..*/, ""),
    height: Number.parseInt(file, 10),
    raw: readData(`bitcoin/blocks/${file}`),
    ours: [],
    theirs: [],
  }));
  const ours = (sample: Sample): void => {
    const verdict = checkBody(sample.raw, sample.height, params);
    if (!verdict.ok) throw new Error(`block ${sample.name}: ${verdict.refusal.message}`);
  };
  const theirs = (sample: Sample): void => {
    if (!Block.fromBuffer(sample.raw).checkTxRoots()) throw new Error(`block ${sample.name}: refused by bitcoinjs-lib`);
  };
  progress("warm-up");
  for (let i = 0; i < 3; i++) {
    for (const sample of samples) ours(sample);
    if (i === 0) for (const sample of samples) theirs(sample);
  }
  for (let round = 1; round <= rounds; round++) {
    progress(`round ${round} of ${rounds}`);
    for (const sample of samples) {
      // who goes first alternates, so that neither always finds the other's garbage
      const turns = [
        () => sample.ours.push(timed(() => ours(sample))),
        () => sample.theirs.push(timed(() => theirs(sample))),
      ];
      for (const turn of round % 2 === 0 ? turns : turns.reverse()) turn();
    }
  }
  const rows = samples.map((sample) => row(sample.name, sample.raw.length, median(sample.ours), median(sample.theirs)));
  const totalBytes = samples.reduce((sum, sample) => sum + sample.raw.length, 0);
  const perRound = (pick: (sample: Sample) => number[]): number[] =>
    Array.from({ length: rounds }, (_, i) => samples.reduce((sum, sample) => sum + (pick(sample)[i] ?? Number.NaN), 0));
  const ourTotals = perRound((sample) => sample.ours);
  const theirTotals = perRound((sample) => sample.theirs);
  const ratios = ourTotals.map((ms, i) => (theirTotals[i] ?? Number.NaN) / ms);
  progress("Ethereum and its like");
  const evm = await evmRows(rounds, quick);
  progress("Solana");
  const svm = solana(quick ? 3 : 9);
  return {
    bench: "decode",
    machine: machine(),
    versions: Object.fromEntries([["node", process.version], ...PEERS.map((name) => [name, version(name)] as const)]),
    rounds,
    rows: [
      ...rows,
      row("all", totalBytes, median(ourTotals), median(theirTotals)),
      ...hashRows(quick),
      ...evm.rows,
      ...svm.rows,
    ],
    checks: [
      check("parse and fully validate, beside bitcoinjs-lib (median of rounds)", median(ratios), ">=", TARGET_RATIO),
      ...evm.checks,
      ...svm.checks,
    ],
  };
}

function row(name: string, bytes: number, ours: number, theirs: number): BenchDocument["rows"][number] {
  return {
    what: `block ${name}, beside bitcoinjs-lib`,
    bytes,
    "sprint MB/s": bytes / ours / 1e3,
    "other MB/s": bytes / theirs / 1e3,
    ratio: theirs / ours,
    "blocks/s": null,
  };
}

/** SHA-256d alone, by message length: what decides from where on a call of OpenSSL is worth it. */
function hashRows(quick: boolean): BenchDocument["rows"] {
  const total = quick ? 1_000_000 : 4_000_000;
  return [64, 250, 500, 1000, 2000, 4000].map((length) => {
    const raw = new Uint8Array(total).fill(7);
    const count = Math.floor(total / length);
    const hasher = batchHasher();
    const batched: number[] = [];
    const single: number[] = [];
    for (let i = 0; i < 5; i++) {
      const { rawAt, hashesAt } = hasher.open(raw, count);
      batched.push(
        timed(() => {
          for (let k = 0; k < count; k++) hasher.add(rawAt + k * length, length, hashesAt + k * 32);
          hasher.flush();
        }),
      );
      single.push(
        timed(() => {
          for (let k = 0; k < count; k++) {
            hash("sha256", hash("sha256", raw.subarray(k * length, (k + 1) * length), "buffer"), "buffer");
          }
        }),
      );
    }
    return {
      what: `SHA-256d of ${length} bytes, beside crypto.hash`,
      bytes: total,
      "sprint MB/s": total / median(batched) / 1e3,
      "other MB/s": total / median(single) / 1e3,
      ratio: median(single) / median(batched),
    };
  });
}

function timed(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

function version(name: string): string {
  const manifest = new URL(`../../node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}
