/**
 * The containers of the light client, as each fork has them. Field names and order are the specification's; JSON and trees follow them.
 * https://github.com/ethereum/consensus-specs/tree/master/specs (light-client/sync-protocol.md of altair, capella, deneb and electra)
 */
import { SprintError } from "../../../shared/errors.ts";
import { type BeaconForkName, type BeaconParams, isSince } from "./params.ts";
import { bytes32, bytesOf, container, count, decodeSsz, type Ssz, sszFromJson, type SszValue } from "./ssz.ts";
import { uint256, uint64, vector } from "./ssz.ts";

export const BeaconBlockHeader = container({
  slot: count,
  proposer_index: count,
  parent_root: bytes32,
  state_root: bytes32,
  body_root: bytes32,
});

const payload = {
  parent_hash: bytes32,
  fee_recipient: bytesOf(20),
  state_root: bytes32,
  receipts_root: bytes32,
  logs_bloom: bytesOf(256),
  prev_randao: bytes32,
  block_number: count,
  gas_limit: uint64,
  gas_used: uint64,
  timestamp: uint64,
  extra_data: { kind: "byteList", max: 32 },
  base_fee_per_gas: uint256,
  block_hash: bytes32,
  transactions_root: bytes32,
  withdrawals_root: bytes32,
} as const;
export const CapellaPayloadHeader = container(payload);
/** Electra and Fulu left it as it was. */
export const DenebPayloadHeader = container({ ...payload, blob_gas_used: uint64, excess_blob_gas: uint64 });

export type BeaconHeader = SszValue<typeof BeaconBlockHeader>;
export type ExecutionHeader = SszValue<typeof CapellaPayloadHeader> & {
  /** Deneb */
  readonly blob_gas_used?: bigint;
  readonly excess_blob_gas?: bigint;
};

export interface LightClientHeader {
  readonly beacon: BeaconHeader;
  /** Both since Capella. */
  readonly execution?: ExecutionHeader;
  readonly execution_branch?: readonly Uint8Array[];
}

export interface SyncCommittee {
  readonly pubkeys: readonly Uint8Array[];
  /** The sum of the keys, which the state transition puts there. */
  readonly aggregate_pubkey: Uint8Array;
}

export interface LightClientBootstrap {
  readonly header: LightClientHeader;
  readonly current_sync_committee: SyncCommittee;
  readonly current_sync_committee_branch: readonly Uint8Array[];
}

/** An update of any of the three kinds. */
export interface LightClientUpdate {
  readonly attested_header: LightClientHeader;
  /** Of a period's update. */
  readonly next_sync_committee?: SyncCommittee;
  readonly next_sync_committee_branch?: readonly Uint8Array[];
  /** Of all but an optimistic update. */
  readonly finalized_header?: LightClientHeader;
  readonly finality_branch?: readonly Uint8Array[];
  readonly sync_aggregate: {
    readonly sync_committee_bits: Uint8Array;
    readonly sync_committee_signature: Uint8Array;
  };
  readonly signature_slot: number;
}

export interface LightClientMessages {
  readonly bootstrap: LightClientBootstrap;
  readonly update: LightClientUpdate;
  readonly finality_update: LightClientUpdate;
  readonly optimistic_update: LightClientUpdate;
}

/**
 * Reads what a node serves: SSZ where it is bytes, else the `data` of its JSON. `fork` is the one that came along with it. Throws
 * SPRINT_BEACON_SSZ, SPRINT_BEACON_JSON, SPRINT_BEACON_NUMBER, or SPRINT_BEACON_FORK for one that has no light client.
 */
export function readLightClient<K extends keyof LightClientMessages>(
  kind: K,
  fork: BeaconForkName,
  data: unknown,
  params: BeaconParams,
): LightClientMessages[K] {
  const type: Ssz = lightClientTypes(fork, params.committeeSize)[kind];
  const value: unknown = data instanceof Uint8Array ? decodeSsz(type, data, kind) : sszFromJson(type, data, kind);
  return value as LightClientMessages[K];
}

export function lightClientTypes(
  fork: BeaconForkName,
  committeeSize: number,
): Readonly<Record<keyof LightClientMessages, Ssz>> {
  if (!isSince(fork, "altair")) {
    throw new SprintError("SPRINT_BEACON_FORK", `light client: expected a fork since Altair, got ${fork}`, { fork });
  }
  const execution = isSince(fork, "deneb") ? DenebPayloadHeader : CapellaPayloadHeader;
  const header = container({
    beacon: BeaconBlockHeader,
    ...(isSince(fork, "capella") ? { execution, execution_branch: vector(bytes32, 4) } : {}),
  });
  // Electra's state has more than 32 fields, and its tree one level more.
  const deeper = isSince(fork, "electra") ? 1 : 0;
  const committee = syncCommitteeOf(committeeSize);
  const committeeBranch = vector(bytes32, 5 + deeper);
  const finality = { finalized_header: header, finality_branch: vector(bytes32, 6 + deeper) };
  const signed = {
    sync_aggregate: container({
      sync_committee_bits: bytesOf(committeeSize / 8),
      sync_committee_signature: bytesOf(96),
    }),
    signature_slot: count,
  };
  return {
    bootstrap: container({
      header,
      current_sync_committee: committee,
      current_sync_committee_branch: committeeBranch,
    }),
    update: container({
      attested_header: header,
      next_sync_committee: committee,
      next_sync_committee_branch: committeeBranch,
      ...finality,
      ...signed,
    }),
    finality_update: container({ attested_header: header, ...finality, ...signed }),
    optimistic_update: container({ attested_header: header, ...signed }),
  };
}

export function syncCommitteeOf(size: number) {
  return container({ pubkeys: vector(bytesOf(48), size), aggregate_pubkey: bytesOf(48) });
}
