/** A small consensus layer with keys of its own: headers whose states hold what light clients ask for, signed by its sync committees. */
import { hash } from "node:crypto";
import { bls12_381 } from "@noble/curves/bls12-381.js";
import {
  BeaconBlockHeader,
  CapellaPayloadHeader,
  DenebPayloadHeader,
  type LightClientBootstrap,
  type LightClientHeader,
  type LightClientUpdate,
  type SyncCommittee,
  syncCommitteeOf,
} from "../../src/daemon/chain/beacon/containers.ts";
import {
  type BeaconForkName,
  type BeaconParams,
  forkAt,
  isSince,
  periodAt,
} from "../../src/daemon/chain/beacon/params.ts";
import { signingRoot } from "../../src/daemon/chain/beacon/signature.ts";
import { hashPair, hashTreeRoot } from "../../src/daemon/chain/beacon/ssz.ts";

export const COMMITTEE = 32;
/** Of the minimal preset: a period has 64 slots. Capella, Deneb, Electra and Fulu come with a period each. */
export const TEST_PARAMS: BeaconParams = {
  network: "test",
  genesisValidatorsRoot: `0x${"77".repeat(32)}`,
  genesisTime: 1_700_000_000,
  secondsPerSlot: 6,
  slotsPerEpoch: 8,
  epochsPerPeriod: 8,
  committeeSize: COMMITTEE,
  forks: (
    [
      ["phase0", 0],
      ["altair", 0],
      ["bellatrix", 0],
      ["capella", 8],
      ["deneb", 16],
      ["electra", 24],
      ["fulu", 32],
    ] as const
  ).map(([name, epoch], i) => ({ name, version: 0x01000001 * i, epoch })),
};
export const SLOTS_PER_PERIOD = 64;

const SUITE = "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
const { longSignatures: bls } = bls12_381;
const ORDER = bls12_381.fields.Fr.ORDER;
const committees = new Map<number, SyncCommittee>();

/** Secret keys of a period's committee; tests may sign what they like. */
export function secretsOf(period: number): bigint[] {
  return Array.from({ length: COMMITTEE }, (_, i) => BigInt(1_000 * (period + 1) + i));
}

export function committeeOf(period: number): SyncCommittee {
  const known = committees.get(period);
  if (known !== undefined) return known;
  const points = secretsOf(period).map((secret) => bls12_381.G1.Point.BASE.multiply(secret));
  const pubkeys = points.map((point) => point.toBytes(true));
  const committee = { pubkeys, aggregate_pubkey: points.reduce((a, b) => a.add(b)).toBytes(true) };
  committees.set(period, committee);
  return committee;
}

/** The sum of the signatures is the signature of the sum. */
export function sign(message: Uint8Array, secrets: readonly bigint[]): Uint8Array {
  const sum = secrets.reduce((a, b) => a + b, 0n) % ORDER;
  const key = Buffer.from(sum.toString(16).padStart(64, "0"), "hex");
  return bls.sign(bls.hash(message, SUITE), key).toBytes(true);
}

export interface TestBlock {
  readonly header: LightClientHeader;
  readonly root: string;
  readonly finalityBranch: readonly Uint8Array[];
  readonly currentBranch: readonly Uint8Array[];
  readonly nextBranch: readonly Uint8Array[];
}

/** The block of a slot; `finalized` is what its state holds as final, `variant` makes another one for the same slot. */
export function blockAt(slot: number, finalized: TestBlock | null = null, variant = ""): TestBlock {
  const fork = forkAt(slot, TEST_PARAMS).name;
  const period = periodAt(slot, TEST_PARAMS);
  const type = syncCommitteeOf(COMMITTEE);
  const epochLeaf = noise(`epoch ${slot}`);
  const leaves = Array.from({ length: isSince(fork, "electra") ? 64 : 32 }, (_, i) => noise(`${variant}${slot} ${i}`));
  leaves[20] = hashPair(
    epochLeaf,
    finalized === null ? new Uint8Array(32) : hashTreeRoot(BeaconBlockHeader, finalized.header.beacon),
  );
  leaves[22] = hashTreeRoot(type, committeeOf(period));
  leaves[23] = hashTreeRoot(type, committeeOf(period + 1));
  const body = Array.from({ length: 16 }, (_, i) => noise(`${variant}body ${slot} ${i}`));
  const execution = {
    ...payloadAt(slot, variant),
    ...(isSince(fork, "deneb") ? { blob_gas_used: 131_072n, excess_blob_gas: 7n } : {}),
  };
  const hasExecution = isSince(fork, "capella");
  if (hasExecution) {
    body[9] = isSince(fork, "deneb")
      ? hashTreeRoot(DenebPayloadHeader, { blob_gas_used: 0n, excess_blob_gas: 0n, ...execution })
      : hashTreeRoot(CapellaPayloadHeader, execution);
  }
  const beacon = {
    slot,
    proposer_index: slot % 7,
    parent_root: noise(`parent ${slot}`),
    state_root: treeRoot(leaves),
    body_root: treeRoot(body),
  };
  return {
    header: { beacon, ...(hasExecution ? { execution, execution_branch: branchOf(body, 9) } : {}) },
    root: `0x${Buffer.from(hashTreeRoot(BeaconBlockHeader, beacon)).toString("hex")}`,
    finalityBranch: [epochLeaf, ...branchOf(leaves, 20)],
    currentBranch: branchOf(leaves, 22),
    nextBranch: branchOf(leaves, 23),
  };
}

export function executionHashAt(slot: number, variant = ""): string {
  return `0x${Buffer.from(payloadAt(slot, variant).block_hash).toString("hex")}`;
}

/** Execution blocks are numbered 1,000 ahead of slots. */
export const heightAt = (slot: number): number => slot + 1_000;

function payloadAt(slot: number, variant: string) {
  return {
    parent_hash: noise(`parent hash ${slot}`),
    fee_recipient: noise(`fees ${slot}`).subarray(0, 20),
    state_root: noise(`state ${slot}`),
    receipts_root: noise(`receipts ${slot}`),
    logs_bloom: new Uint8Array(256).fill(slot),
    prev_randao: noise(`randao ${slot}`),
    block_number: heightAt(slot),
    gas_limit: 36_000_000n,
    gas_used: 21_000n,
    timestamp: BigInt(TEST_PARAMS.genesisTime + slot * TEST_PARAMS.secondsPerSlot),
    extra_data: Buffer.from("test"),
    base_fee_per_gas: 10n ** 9n,
    block_hash: noise(`${variant}execution ${slot}`),
    transactions_root: noise(`transactions ${slot}`),
    withdrawals_root: noise(`withdrawals ${slot}`),
  };
}

export function bootstrapAt(slot: number): LightClientBootstrap & { readonly root: string } {
  const { header, currentBranch, root } = blockAt(slot);
  const period = periodAt(slot, TEST_PARAMS);
  return { header, current_sync_committee: committeeOf(period), current_sync_committee_branch: currentBranch, root };
}

export interface UpdateOptions {
  /** Slot of the attested block. */
  readonly attested: number;
  /** Slot of the finalized block. */
  readonly finalized: number;
  /** The slot after the attested one. */
  readonly signed?: number;
  /** Members who do not sign, from the first on. */
  readonly absent?: number;
  readonly finalizedVariant?: string;
  /** Whose keys sign; the period of `signed`. */
  readonly signers?: number;
}

/** A period's update; without its committee it is a finality update. */
export function updateOf(options: UpdateOptions): Required<LightClientUpdate> {
  const { attested, finalized, signed = attested + 1, absent = 2, finalizedVariant = "" } = options;
  const final = blockAt(finalized, null, finalizedVariant);
  const block = blockAt(attested, final);
  const bits = new Uint8Array(COMMITTEE / 8);
  for (let i = absent; i < COMMITTEE; i++) bits[i >> 3] = (bits[i >> 3] ?? 0) | (1 << (i & 7));
  const secrets = secretsOf(options.signers ?? periodAt(signed, TEST_PARAMS)).slice(absent);
  return {
    attested_header: block.header,
    next_sync_committee: committeeOf(periodAt(attested, TEST_PARAMS) + 1),
    next_sync_committee_branch: block.nextBranch,
    finalized_header: final.header,
    finality_branch: block.finalityBranch,
    sync_aggregate: {
      sync_committee_bits: bits,
      sync_committee_signature: sign(signingRoot(block.header.beacon, signed, TEST_PARAMS), secrets),
    },
    signature_slot: signed,
  };
}

export function finalityUpdateOf(options: UpdateOptions): LightClientUpdate {
  const { next_sync_committee: _, next_sync_committee_branch: __, ...update } = updateOf(options);
  return update;
}

export function forkOf(slot: number): BeaconForkName {
  return forkAt(slot, TEST_PARAMS).name;
}

function noise(seed: string): Uint8Array {
  return hash("sha256", seed, "buffer");
}

function treeRoot(leaves: readonly Uint8Array[]): Uint8Array {
  return branchLevels(leaves).at(-1)?.[0] ?? new Uint8Array(32);
}

function branchOf(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  return branchLevels(leaves)
    .slice(0, -1)
    .map((level, i) => level[(index >> i) ^ 1] as Uint8Array);
}

function branchLevels(leaves: readonly Uint8Array[]): (readonly Uint8Array[])[] {
  const levels = [leaves];
  for (let level = leaves; level.length > 1; levels.push(level)) {
    level = Array.from({ length: level.length / 2 }, (_, i) =>
      hashPair(level[2 * i] as Uint8Array, level[2 * i + 1] as Uint8Array),
    );
  }
  return levels;
}
