/**
 * A light client of the consensus layer: from one block root that is trusted, by the signatures of sync committees, to the finalized block of now.
 * https://github.com/ethereum/consensus-specs/blob/master/specs/altair/light-client/sync-protocol.md
 *
 *   bootstrap ──▶ the committee of its period ──update of each period──▶ the committee of the next ──finality update──▶ finalized block
 *
 * Two thirds of a committee must have signed: updates with less, and the specification's advance by force when nothing is final for a day, are not
 * taken. Signatures are left to the caller, for they are slow: a store holds once the signature beside it does.
 */
import type { ErrorData } from "../../../shared/errors.ts";
import { refuse } from "../refusal.ts";
import type { Refusal } from "../types.ts";
import type { ExecutionPoint } from "./block.ts";
import {
  BeaconBlockHeader,
  CapellaPayloadHeader,
  DenebPayloadHeader,
  type ExecutionHeader,
  type LightClientBootstrap,
  type LightClientHeader,
  type LightClientUpdate,
  type SyncCommittee,
  syncCommitteeOf,
} from "./containers.ts";
import { type BeaconParams, forkAt, isSince, periodAt } from "./params.ts";
import { isSet, type SyncSignature, syncSignatureOf } from "./signature.ts";
import { hashTreeRoot, hexOf, isUnder, sameBytes } from "./ssz.ts";

/** What is proved. Immutable. */
export interface LightClientStore {
  readonly finalized: LightClientHeader;
  /** Of the period of `finalized`. */
  readonly current: SyncCommittee;
  /** Of the period after it, null while no update told it. */
  readonly next: SyncCommittee | null;
}

export type LightClientVerdict =
  | {
      readonly ok: true;
      /** What is proved if `signature` holds. */
      readonly store: LightClientStore;
      readonly signature: SyncSignature;
    }
  | { readonly ok: false; readonly refusal: Refusal };

const EXECUTION_GINDEX = 25;

/** Takes the block that is trusted. Its root needs no signature. */
export function startLightClient(
  bootstrap: LightClientBootstrap,
  trustedRoot: string,
  params: BeaconParams,
): { readonly ok: true; readonly store: LightClientStore } | { readonly ok: false; readonly refusal: Refusal } {
  const { header, current_sync_committee: current, current_sync_committee_branch: branch } = bootstrap;
  const root = rootOfHeader(header);
  if (root !== trustedRoot.toLowerCase()) return refused("TRUSTED_ROOT", "bootstrap", trustedRoot, root);
  const refusal = checkHeader(header, "bootstrap", params);
  if (refusal !== null) return { ok: false, refusal };
  const { committee } = stateIndices(header, params);
  const leaf = hashTreeRoot(syncCommitteeOf(params.committeeSize), current);
  if (!isUnder(header.beacon.state_root, leaf, branch, committee.current)) {
    return refused("COMMITTEE", "bootstrap's committee", "one that its state holds", "another");
  }
  return { ok: true, store: { finalized: header, current, next: null } };
}

/**
 * validate_light_client_update and apply_light_client_update. Refuses with SPRINT_BEACON_PARTICIPATION, _FUTURE, _SLOTS, _EXECUTION, _PERIOD, _STALE,
 * _FINALITY, _EQUIVOCATION and _COMMITTEE.
 */
export function checkLightClientUpdate(
  store: LightClientStore,
  update: LightClientUpdate,
  currentSlot: number,
  params: BeaconParams,
): LightClientVerdict {
  const refusal =
    checkParticipation(update, params) ??
    checkSlots(update, currentSlot) ??
    checkHeader(update.attested_header, "attested header", params) ??
    checkPeriods(store, update, params) ??
    checkFinality(store, update, params) ??
    checkNextCommittee(store, update, params);
  if (refusal !== null) return { ok: false, refusal };
  const isNext = periodAt(update.signature_slot, params) > storePeriod(store, params);
  const committee = isNext && store.next !== null ? store.next : store.current;
  return { ok: true, store: applied(store, update, params), signature: syncSignatureOf(update, committee, params) };
}

/** The execution block of a header; null before Capella, where headers do not lead to it. */
export function executionOf(header: LightClientHeader): ExecutionPoint | null {
  const { execution } = header;
  return execution === undefined ? null : { hash: hexOf(execution.block_hash), height: execution.block_number };
}

/** 0x-hex. */
export function rootOfHeader(header: LightClientHeader): string {
  return hexOf(hashTreeRoot(BeaconBlockHeader, header.beacon));
}

export function storePeriod(store: LightClientStore, params: BeaconParams): number {
  return periodAt(store.finalized.beacon.slot, params);
}

// --- the rules, in the specification's order

function checkParticipation(update: LightClientUpdate, { committeeSize }: BeaconParams): Refusal | null {
  let signers = 0;
  for (let i = 0; i < committeeSize; i++) if (isSet(update.sync_aggregate.sync_committee_bits, i)) signers++;
  if (signers * 3 >= committeeSize * 2) return null;
  return problem("PARTICIPATION", "signers", `two thirds of ${committeeSize}`, signers);
}

function checkSlots(update: LightClientUpdate, currentSlot: number): Refusal | null {
  const { signature_slot: signed, attested_header: attested } = update;
  if (signed > currentSlot) return problem("FUTURE", "signature slot", `at most ${currentSlot}, that of now`, signed);
  const slots = [finalizedOf(update)?.beacon.slot ?? 0, attested.beacon.slot, signed] as const;
  if (slots[0] <= slots[1] && slots[1] < slots[2]) return null;
  return problem("SLOTS", "slots", "finalized, attested and signed in this order", slots.join(", "));
}

/** is_valid_light_client_header */
function checkHeader(header: LightClientHeader, what: string, params: BeaconParams): Refusal | null {
  const { beacon, execution, execution_branch: branch } = header;
  const { name } = forkAt(beacon.slot, params);
  if (!isSince(name, "altair")) return problem("SLOTS", what, "a slot since Altair", beacon.slot);
  if (execution === undefined || branch === undefined) {
    return isSince(name, "capella") ? problem("EXECUTION", what, "an execution header", "none") : null;
  }
  if (!isSince(name, "capella")) return problem("EXECUTION", what, "no execution header before Capella", "one");
  const root = executionRoot(execution, isSince(name, "deneb"));
  if (root !== null && isUnder(beacon.body_root, root, branch, EXECUTION_GINDEX)) return null;
  return problem("EXECUTION", what, "the execution header that its body holds", "another");
}

function executionRoot(execution: ExecutionHeader, isDeneb: boolean): Uint8Array | null {
  const { blob_gas_used: used, excess_blob_gas: excess } = execution;
  if (isDeneb && used !== undefined && excess !== undefined) {
    return hashTreeRoot(DenebPayloadHeader, { ...execution, blob_gas_used: used, excess_blob_gas: excess });
  }
  return isDeneb || used || excess ? null : hashTreeRoot(CapellaPayloadHeader, execution);
}

function checkPeriods(store: LightClientStore, update: LightClientUpdate, params: BeaconParams): Refusal | null {
  const own = storePeriod(store, params);
  const signed = periodAt(update.signature_slot, params);
  if (signed !== own && (store.next === null || signed !== own + 1)) {
    return problem("PERIOD", "signature's period", store.next === null ? own : `${own} or ${own + 1}`, signed);
  }
  const { slot } = update.attested_header.beacon;
  const tellsNext = store.next === null && nextCommitteeOf(update) !== null && periodAt(slot, params) === own;
  if (slot > store.finalized.beacon.slot || tellsNext) return null;
  return problem("STALE", "attested slot", `one after ${store.finalized.beacon.slot}, which is final`, slot);
}

function checkFinality(store: LightClientStore, update: LightClientUpdate, params: BeaconParams): Refusal | null {
  const finalized = finalizedOf(update);
  if (finalized === null) return null;
  const refusal = checkHeader(finalized, "finalized header", params);
  if (refusal !== null) return refusal;
  const { beacon } = update.attested_header;
  const leaf = hashTreeRoot(BeaconBlockHeader, finalized.beacon);
  const { finality } = stateIndices(update.attested_header, params);
  if (!isUnder(beacon.state_root, leaf, update.finality_branch ?? [], finality)) {
    return problem("FINALITY", "finalized header", "the one that the attested state holds", "another");
  }
  const [proved, told] = [rootOfHeader(store.finalized), hexOf(leaf)];
  if (finalized.beacon.slot !== store.finalized.beacon.slot || proved === told) return null;
  return problem("EQUIVOCATION", "finalized header", `${proved}, which was proved for this slot`, told, {
    slot: finalized.beacon.slot,
  });
}

function checkNextCommittee(store: LightClientStore, update: LightClientUpdate, params: BeaconParams): Refusal | null {
  const next = nextCommitteeOf(update);
  if (next === null) return null;
  const type = syncCommitteeOf(params.committeeSize);
  const { beacon } = update.attested_header;
  const root = hashTreeRoot(type, next);
  const { committee } = stateIndices(update.attested_header, params);
  if (!isUnder(beacon.state_root, root, update.next_sync_committee_branch ?? [], committee.next)) {
    return problem("COMMITTEE", "next committee", "the one that the attested state holds", "another");
  }
  const isKnown = store.next !== null && periodAt(beacon.slot, params) === storePeriod(store, params);
  if (!isKnown || sameBytes(hashTreeRoot(type, store.next), root)) return null;
  return problem("COMMITTEE", "next committee", "the one that was proved before", "another");
}

/** An update moves nothing without a finalized header: what its committee comes from may still be reverted. */
function applied(store: LightClientStore, update: LightClientUpdate, params: BeaconParams): LightClientStore {
  const finalized = finalizedOf(update);
  if (finalized === null) return store;
  const [own, moved] = [storePeriod(store, params), periodAt(finalized.beacon.slot, params)];
  const attested = periodAt(update.attested_header.beacon.slot, params);
  const next = moved === attested ? nextCommitteeOf(update) : null;
  const newest = finalized.beacon.slot > store.finalized.beacon.slot ? finalized : store.finalized;
  if (store.next === null) return { ...store, finalized: newest, next: moved === own ? next : null };
  if (moved === own + 1) return { finalized: newest, current: store.next, next };
  return { ...store, finalized: newest };
}

// --- what an update has

/** Null where the update tells none, or genesis. */
function finalizedOf({
  finalized_header: header,
  finality_branch: branch,
}: LightClientUpdate): LightClientHeader | null {
  return header === undefined || branch === undefined || isZero(branch) || header.beacon.slot === 0 ? null : header;
}

function nextCommitteeOf(update: LightClientUpdate): SyncCommittee | null {
  const { next_sync_committee: next, next_sync_committee_branch: branch } = update;
  return next === undefined || branch === undefined || isZero(branch) ? null : next;
}

function isZero(branch: readonly Uint8Array[]): boolean {
  return branch.every((node) => node.every((byte) => byte === 0));
}

/** Generalized indices in the state: Electra's has more than 32 fields. */
function stateIndices({ beacon }: LightClientHeader, params: BeaconParams) {
  const isElectra = isSince(forkAt(beacon.slot, params).name, "electra");
  return isElectra
    ? { finality: 169, committee: { current: 86, next: 87 } }
    : { finality: 105, committee: { current: 54, next: 55 } };
}

type Fault =
  | "TRUSTED_ROOT"
  | "PARTICIPATION"
  | "FUTURE"
  | "SLOTS"
  | "EXECUTION"
  | "PERIOD"
  | "STALE"
  | "FINALITY"
  | "EQUIVOCATION"
  | "COMMITTEE";

function problem(
  fault: Fault,
  what: string,
  expected: string | number,
  actual: string | number,
  data: ErrorData = {},
): Refusal {
  return refuse(`SPRINT_BEACON_${fault}`, `light client, ${what}`, expected, actual, data);
}

function refused(...of: Parameters<typeof problem>): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal: problem(...of) };
}
