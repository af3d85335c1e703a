/**
 * Every block and header of the chain data with what is known of it, and the way to examine one: for the test over all of them
 * and for the printed table.
 */
import { readdirSync } from "node:fs";
import { codecFor, paramsFor } from "../../src/daemon/chain/index.ts";
import { inspect, type Inspection } from "../../src/daemon/inspect/index.ts";
import type { Chain } from "../../src/shared/chain.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { dataPath, readData } from "./data.ts";

export interface Sample {
  /** The file, and which part of it where only one is meant. */
  readonly name: string;
  readonly chain: Chain;
  readonly network: string;
  readonly headers: boolean;
  /** Each as it would come from a file: raw, hex, gzip, block file, run of headers. */
  readonly parts: readonly Uint8Array[];
  /** Blocks or headers in all parts. */
  readonly count: number;
  /** Height of the first, where the source names it. */
  readonly height: number | null;
  /** Codes with which they must be refused; null where all must hold. */
  readonly refusals: readonly RegExp[] | null;
  /** True where the vector asks for the proof of work to be left out: then only the body is examined. */
  readonly bodyOnly: boolean;
  /** Unix seconds to judge the time by; null for now. */
  readonly now: number | null;
}

/** One line for each block or header, from `sprint inspect`. */
export async function examine(sample: Sample): Promise<Inspection[]> {
  const { chain, network, headers, parts, now } = sample;
  if (sample.bodyOnly) return parts.map((part) => examineBody(sample, part));
  const lines: Inspection[] = [];
  await inspect(
    { chain, network, level: "full", headers, files: parts.map((_, i) => String(i)) },
    {
      read: async (file) => parts[Number(file)] ?? new Uint8Array(),
      write: (line) => void lines.push(JSON.parse(line) as Inspection),
      clock: { ...systemClock, wall: () => (now === null ? Date.now() : now * 1000) },
    },
  );
  return lines;
}

function examineBody({ chain, network }: Sample, raw: Uint8Array): Inspection {
  const verdict = codecFor(paramsFor(chain, network)).checkBody(raw, { height: null, hash: null }, null);
  const txCount = verdict.ok ? verdict.facts.txCount : null;
  const error = verdict.ok ? null : { code: verdict.refusal.code, message: verdict.refusal.message };
  return { chain, hash: null, height: null, tx_count: txCount, validation: "full", ok: verdict.ok, error };
}

const FOLDERS: readonly (readonly [folder: string, chain: Chain, network: string])[] = [
  ["bitcoin/blocks", "bitcoin", "mainnet"],
  ["bitcoin/testnet3", "bitcoin", "testnet3"],
  ["bitcoin/testnet4", "bitcoin", "testnet4"],
  ["litecoin/blocks", "litecoin", "mainnet"],
  ["litecoin/testnet4", "litecoin", "testnet"],
  ["litecoin/regtest", "litecoin", "regtest"],
  ["dogecoin/blocks", "dogecoin", "mainnet"],
];

/** Blocks in files of more than one. */
const RUNS: Readonly<Record<string, number>> = {
  "bitcoin/blocks/000000-000599.blk.dat": 600,
  "litecoin/blocks/000000-000160.blk.dat": 161,
};

const HEADER_RUNS: readonly (readonly [file: string, chain: Chain, count: number, height: number | null])[] = [
  ["bitcoin/headers/000000-008064.bin", "bitcoin", 8065, 0],
  ["bitcoin/headers/586657-589289.bin", "bitcoin", 2633, null],
  ["dogecoin/headers/00001-10000.bin", "dogecoin", 10_000, 1],
];

export function samples(): Sample[] {
  return [
    ...blockFiles(),
    ...headerRuns(),
    ...checkpoints(),
    ...reorg(),
    ...wire(),
    ...filterVectors(),
    ...checkBlockVectors(),
    ...malformed(),
  ];
}

function sample(given: Pick<Sample, "name" | "parts"> & Partial<Sample>): Sample {
  const defaults = { chain: "bitcoin", network: "mainnet", headers: false, height: null, refusals: null } as const;
  return { ...defaults, bodyOnly: false, now: null, count: given.parts.length, ...given };
}

function blockFiles(): Sample[] {
  return FOLDERS.flatMap(([folder, chain, network]) =>
    readdirSync(dataPath(folder))
      .filter((file) => /\.raw(\.gz)?$|\.blk\.dat$/.test(file))
      .sort()
      .map((file) => {
        const name = `${folder}/${file}`;
        const named = /^(?:mweb-)?(\d+)(?:\.raw|-\d+\.blk)/.exec(file)?.[1];
        const height = named === undefined ? null : Number(named);
        return sample({ name, chain, network, parts: [readData(name)], count: RUNS[name] ?? 1, height });
      }),
  );
}

function headerRuns(): Sample[] {
  return HEADER_RUNS.map(([name, chain, count, height]) =>
    sample({ name, chain, parts: [readData(name)], count, height, headers: true }),
  );
}

/** Records of a height, its chain work and its header. Headers of merged-mined blocks come without their proof. */
function checkpoints(): Sample[] {
  const text = "bitcoin/headers/checkpoints-every-2016.txt";
  const lines = readData(text)
    .toString()
    .split("\n")
    .filter((line) => line.length > 100);
  const bitcoin = sample({
    name: text,
    headers: true,
    parts: lines.map((line) => Buffer.from(line, "base64").subarray(-80)),
  });
  const records = (name: string): Buffer[] => {
    const bytes = readData(name);
    const first = bytes.length % 96;
    return Array.from({ length: Math.floor(bytes.length / 96) }, (_, i) =>
      bytes.subarray(first + i * 96 + 16, first + (i + 1) * 96),
    );
  };
  const litecoin = "litecoin/headers/checkpoints-every-4032.bin";
  const dogecoin = "dogecoin/headers/checkpoints-every-4800.bin";
  const merged = (header: Buffer): boolean => (header.readInt32LE(0) & 0x100) !== 0;
  const all = records(dogecoin);
  return [
    bitcoin,
    sample({ name: litecoin, chain: "litecoin", headers: true, parts: records(litecoin) }),
    sample({
      name: `${dogecoin}, before merged mining`,
      chain: "dogecoin",
      headers: true,
      parts: all.filter((header) => !merged(header)),
    }),
    sample({
      name: `${dogecoin}, merged-mined, without the proof`,
      chain: "dogecoin",
      headers: true,
      parts: all.filter(merged),
      refusals: [/^SPRINT_DECODE_TRUNCATED$/],
    }),
  ];
}

/** One chain and its fork, in the order in which they were found. */
function reorg(): Sample[] {
  const files = ["blk_0_to_4", "blk_3A", "blk_4A", "blk_5A"].map((file) => `bitcoin/vectors/reorg/${file}.dat`);
  return [sample({ name: files.join(", "), parts: files.map(readData), count: 8, height: 0 })];
}

/** The `block` message of a recorded session: 24 bytes of frame and the block. */
function wire(): Sample[] {
  const name = "bitcoin/p2p/messages.json";
  const messages = JSON.parse(readData(name).toString()) as { block: { message: string } };
  const message = Buffer.from(messages.block.message, "hex");
  return [sample({ name: `${name}, block`, parts: [message.subarray(24)], height: 347_032 })];
}

function filterVectors(): Sample[] {
  const name = "bitcoin/p2p/bip158-testnet-19.json";
  const rows = JSON.parse(readData(name).toString()) as [number, string, string][];
  return rows
    .slice(1)
    .map(([height, , hex]) =>
      sample({ name: `${name}, ${height}`, network: "testnet3", parts: [Buffer.from(hex, "latin1")], height }),
    );
}

/** What each invalid vector breaks, in the order of the file. */
const CHECKBLOCK_REFUSALS = [
  /^SPRINT_HEADER_TIME_TOO_NEW$/,
  /^SPRINT_WORK_HIGH_HASH$/,
  /^SPRINT_BLOCK_BAD_LENGTH$/,
  /^SPRINT_BLOCK_COINBASE_MISSING$/,
  /^SPRINT_BLOCK_COINBASE_MULTIPLE$/,
  /^SPRINT_BLOCK_DUPLICATE_TX$/,
  /^SPRINT_BLOCK_BAD_MERKLE_ROOT$/,
];

function checkBlockVectors(): Sample[] {
  return ["checkblock_valid.json", "checkblock_invalid.json"].flatMap((file) => {
    const name = `bitcoin/vectors/${file}`;
    const rows = (JSON.parse(readData(name).toString()) as unknown[][]).filter((row) => row.length === 5);
    return rows.map(([comment, , checkWork, now, hex], i) => {
      const invalid = file.includes("invalid") ? CHECKBLOCK_REFUSALS[i] : undefined;
      return sample({
        name: `${name}, "${String(comment)}"`,
        parts: [checkWork === true ? Buffer.from(String(hex), "latin1") : Buffer.from(String(hex), "hex")],
        bodyOnly: checkWork !== true,
        now: Number(now),
        refusals: invalid === undefined ? null : [invalid],
      });
    });
  });
}

function malformed(): Sample[] {
  const name = "bitcoin/vectors/malformed-block-inputs.tar.gz";
  const parts = untar(readData(name));
  return [sample({ name, parts, bodyOnly: true, refusals: [/^SPRINT_(DECODE|BLOCK)_/] })];
}

/** Contents of the files of a tar archive: blocks of 512 bytes, size in octal at 124. */
function untar(archive: Buffer): Buffer[] {
  const files: Buffer[] = [];
  for (let at = 0; at + 512 <= archive.length && archive[at] !== 0;) {
    const size = Number.parseInt(archive.toString("latin1", at + 124, at + 135), 8);
    if (archive[at + 156] === 0x30) files.push(archive.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}
