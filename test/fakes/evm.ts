/** Every block, header and receipt of the chain data of Ethereum and its like, and the way to examine one. */
import { existsSync, readdirSync } from "node:fs";
import type { EvmChain } from "../../src/shared/chain.ts";
import { type Inspection, inspectEvm } from "../../src/daemon/inspect/index.ts";
import { dataPath, readData } from "./data.ts";
import { readEra1 } from "./era1.ts";

export interface EvmSample {
  /** The file. */
  readonly name: string;
  readonly chain: EvmChain;
  readonly headers: boolean;
  readonly bytes: Uint8Array;
  /** Null where the data has none. */
  readonly receipts: Uint8Array | null;
  /** Blocks or headers. */
  readonly count: number;
  /** Of the first. */
  readonly height: number;
  /** The code with which the last one must be refused; null where all must hold. */
  readonly refusal: string | null;
}

/** One line for each block or header, from `sprint inspect`; with `work: false` proofs of work are taken for good. */
export async function examineEvm(
  { chain, headers, bytes, receipts }: EvmSample,
  { work }: { readonly work: boolean } = { work: true },
): Promise<Inspection[]> {
  const lines: Inspection[] = [];
  const beside = receipts === null ? {} : { receipts: "receipts" };
  await inspectEvm(
    { chain, network: "mainnet", level: "full", headers, files: ["blocks"], ...beside },
    {
      read: async (file) => (file === "receipts" ? (receipts ?? new Uint8Array()) : bytes),
      ...(work ? {} : { checkWork: () => null }),
      write: (line) => void lines.push(JSON.parse(line) as Inspection),
    },
  );
  return lines;
}

const RPC_CHAINS: readonly EvmChain[] = ["ethereum", "polygon", "arbitrum", "optimism", "base"];
const ERA1 = "ethereum/era1/mainnet-00000-5ec1ffb8.era1.gz";
const HEADERS = "ethereum/rlp/1000001-1000010.headers.rlp";
const BAD_WORK = "ethereum/rlp/bad-pow.blocks.rlp";
const BSC = "bsc/headers-25428800-25428812.json";

export function evmSamples(): EvmSample[] {
  return [
    ...RPC_CHAINS.flatMap((chain) => blockFiles(`${chain}/rpc`, chain)),
    ...blockFiles("ethereum/rlp", "ethereum"),
    ...runs(),
  ];
}

function blockFiles(folder: string, chain: EvmChain): EvmSample[] {
  return readdirSync(dataPath(folder))
    .filter((file) => /^\d+\.block\./.test(file))
    .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
    .map((file) => {
      const name = `${folder}/${file}`;
      const [receipts] = ["", ".gz"]
        .map((end) => name.replace(".block.", ".receipts.").replace(/\.gz$/, "") + end)
        .filter((path) => existsSync(dataPath(path)))
        .map(readData);
      return sample({ name, chain, receipts: receipts ?? null, height: Number.parseInt(file, 10) });
    });
}

function sample(given: Pick<EvmSample, "name" | "chain" | "height"> & Partial<EvmSample>): EvmSample {
  const bytes = given.bytes ?? readData(given.name);
  return { headers: false, receipts: null, count: 1, refusal: null, ...given, bytes };
}

function runs(): EvmSample[] {
  return [
    sample({ name: HEADERS, chain: "ethereum", headers: true, count: 10, height: 1_000_001 }),
    sample({ name: BAD_WORK, chain: "ethereum", count: 2, height: 0, refusal: "SPRINT_EVM_WORK_MIX" }),
    sample({ name: BSC, chain: "bsc", headers: true, count: 13, height: 25_428_800 }),
    sample({ name: ERA1, chain: "ethereum", bytes: Buffer.concat(era1Blocks()), count: 8192, height: 0 }),
  ];
}

/** The RLP of each block: an archive keeps header and body apart. */
export function era1Blocks(): Buffer[] {
  return [...readEra1(readData(ERA1))].map(({ header, body }) => {
    // behind the prefix of the body's list are its items, as they are
    const prefix = body[0] as number;
    const items = body.subarray(prefix > 0xf7 ? 1 + prefix - 0xf7 : 1);
    const payload = Buffer.concat([header, items]);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(payload.length);
    return Buffer.concat([Buffer.of(0xf9), length, payload]);
  });
}

export { ERA1 };
