/** Blocks for stats: real headers, and made-up ones that follow each other. */
import type { Block, EvmDetail, SvmDetail } from "../../../src/shared/block.ts";
import type { EvmDigest, SvmDigest, UtxoDigest } from "../../../src/shared/body.ts";

export interface UtxoFields {
  readonly timestamp: number;
  readonly bits: number;
  readonly auxpow?: boolean;
  readonly txCount?: number;
}

/** `branch` tells blocks of one height apart; it follows the same branch. */
export function utxoBlock(height: number, fields: UtxoFields, branch = ""): Block {
  return {
    ...place("bitcoin", height, fields.timestamp, branch),
    txCount: fields.txCount ?? null,
    detail: {
      family: "utxo",
      version: 0x2000_0000,
      merkleRoot: "00",
      bits: fields.bits,
      nonce: 0,
      auxpow: fields.auxpow ?? false,
      weight: null,
    },
  };
}

/** A run of 80-byte headers as blocks from `height` on. */
export function headerRun(bytes: Buffer, height: number): Block[] {
  return Array.from({ length: bytes.length / 80 }, (_, i) =>
    utxoBlock(height + i, { timestamp: bytes.readUInt32LE(i * 80 + 68), bits: bytes.readUInt32LE(i * 80 + 72) }),
  );
}

export function utxoDigest(fields: Partial<UtxoDigest> = {}): UtxoDigest {
  return {
    family: "utxo",
    coinbaseScript: "00",
    parentCoinbaseScript: null,
    rewardUnits: "625000000",
    weight: 3_000_000,
    inputs: 1,
    outputs: 1,
    segwitTransactions: 0,
    mwebKernels: null,
    ...fields,
  };
}

export function evmBlock(height: number, fields: Partial<EvmDetail>, timestamp = 12 * height, branch = ""): Block {
  const zero = `0x${"0".repeat(64)}`;
  return {
    ...place("ethereum", height, timestamp, branch),
    detail: {
      family: "evm",
      beneficiary: zero.slice(0, 42),
      stateRoot: zero,
      transactionsRoot: zero,
      receiptsRoot: zero,
      logsBloom: "0x",
      ommersHash: zero,
      difficulty: 0n,
      gasLimit: 30_000_000n,
      gasUsed: 15_000_000n,
      extraData: "0x",
      mixHash: zero,
      nonce: "0x0000000000000000",
      baseFeePerGas: 1_000_000_000n,
      withdrawalsRoot: null,
      blobGasUsed: null,
      excessBlobGas: null,
      parentBeaconBlockRoot: null,
      requestsHash: null,
      ...fields,
    },
  };
}

export function evmDigest(fields: Partial<EvmDigest> = {}): EvmDigest {
  return {
    family: "evm",
    gasUsed: 15_000_000,
    gasLimit: 30_000_000,
    baseFeeWei: "1000000000",
    tipsWei: ["1", "2", "3", "4", "5"],
    blobs: 0,
    excessBlobGas: null,
    contracts: [],
    ...fields,
  };
}

export function svmBlock(height: number, fields: Pick<SvmDetail, "slot" | "parentSlot">, timestamp: number): Block {
  return { ...place("solana", height, timestamp, ""), detail: { family: "svm", signatures: null, ...fields } };
}

export function svmDigest(fields: Partial<SvmDigest> = {}): SvmDigest {
  return {
    family: "svm",
    slot: 0,
    parentSlot: 0,
    transactions: 100,
    votes: 80,
    failed: 5,
    feesLamports: "5000",
    computeUnits: 1_000,
    leader: null,
    ...fields,
  };
}

function place(chain: string, height: number, timestamp: number, branch: string): Omit<Block, "detail"> {
  const hash = `${height}${branch}`;
  return {
    chain,
    height,
    hash,
    parentHash: `${height - 1}${branch}`,
    timestamp,
    txCount: null,
    sizeBytes: null,
    locator: hash,
  };
}
