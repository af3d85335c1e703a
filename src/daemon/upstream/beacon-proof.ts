/** Follows the chain of sync committees with one node's answers. What was proved stays when the connection does not. */
import type { Clock } from "../../shared/clock.ts";
import { SprintError } from "../../shared/errors.ts";
import {
  type BeaconParams,
  checkLightClientUpdate,
  type ExecutionPoint,
  executionOf,
  isBeaconFork,
  type LightClientStore,
  type LightClientUpdate,
  periodAt,
  readLightClient,
  type Refusal,
  rootOfHeader,
  slotAt,
  startLightClient,
  storePeriod,
  type SyncSignature,
} from "../chain/index.ts";
import { type BeaconAnswer, type BeaconClient, beaconProblem } from "./beacon-client.ts";

export interface FinalityProofOptions {
  /** 0x-hex, of a block that is known to be final. */
  readonly trustedRoot: string;
}

export interface FinalityProofModules {
  readonly params: BeaconParams;
  readonly clock: Clock;
  readonly verify: (signature: SyncSignature, signal: AbortSignal) => Promise<boolean>;
  /** An update that proves nothing yet, by no fault of the node: too few signed, or it is ahead of our clock. */
  readonly onNotYet: (refusal: Refusal) => void;
}

export interface ProvedBlock {
  /** Of the beacon block, 0x-hex. */
  readonly root: string;
  /** Null before Capella. */
  readonly execution: ExecutionPoint | null;
}

/** A bootstrap or two in JSON. */
const MAX_BYTES = 1_048_576;
const UPDATES_PER_REQUEST = 4;
const NOT_YET: ReadonlySet<string> = new Set(["SPRINT_BEACON_PARTICIPATION", "SPRINT_BEACON_FUTURE"]);

export class FinalityProof {
  readonly #trustedRoot: string;
  readonly #modules: FinalityProofModules;
  #store: LightClientStore | null = null;

  constructor(options: FinalityProofOptions, modules: FinalityProofModules) {
    this.#trustedRoot = options.trustedRoot;
    this.#modules = modules;
  }

  /**
   * The newest finalized block that the node's answers prove. One call at a time. Throws the light client's refusal as an error with its code: the
   * node told what does not hold.
   */
  async advance(client: BeaconClient, signal: AbortSignal): Promise<ProvedBlock> {
    const { params } = this.#modules;
    this.#store ??= await this.#start(client, signal);
    await this.#followPeriods(client, signal);
    const path = "/eth/v1/beacon/light_client/finality_update";
    const answer = await client.ask(path, { signal, maxBytes: MAX_BYTES, ssz: true });
    // Not there: the node is young. Then what was proved before is the newest.
    if (answer !== null)
      await this.#take(readLightClient("finality_update", ...contentOf(answer, path), params), signal);
    return { root: rootOfHeader(this.#store.finalized), execution: executionOf(this.#store.finalized) };
  }

  async #start(client: BeaconClient, signal: AbortSignal): Promise<LightClientStore> {
    const { params } = this.#modules;
    const path = `/eth/v1/beacon/light_client/bootstrap/${this.#trustedRoot}`;
    const answer = await client.ask(path, { signal, maxBytes: MAX_BYTES, ssz: true });
    if (answer === null) {
      throw beaconProblem(
        "NO_LIGHT_CLIENT",
        `${path}: expected the bootstrap of the trusted block, the node has none; is it a finalized block, the first of an epoch, and does the node serve light clients?`,
        { trustedRoot: this.#trustedRoot },
      );
    }
    const verdict = startLightClient(
      readLightClient("bootstrap", ...contentOf(answer, path), params),
      this.#trustedRoot,
      params,
    );
    if (!verdict.ok) throw asError(verdict.refusal);
    return verdict.store;
  }

  /** Until the committee that signs now is known. */
  async #followPeriods(client: BeaconClient, signal: AbortSignal): Promise<void> {
    const { params, clock } = this.#modules;
    const now = periodAt(slotAt(clock.wall(), params), params);
    for (let store = this.#store; store !== null && needsUpdates(store, now, params);) {
      const from = storePeriod(store, params);
      const path = `/eth/v1/beacon/light_client/updates?start_period=${from}&count=${UPDATES_PER_REQUEST}`;
      const answer = await client.ask(path, { signal, maxBytes: MAX_BYTES });
      const updates: readonly unknown[] = Array.isArray(answer?.body) ? answer.body : [];
      for (const each of updates.slice(0, UPDATES_PER_REQUEST)) {
        await this.#take(readLightClient("update", ...contentOf({ body: each, version: null }, path), params), signal);
      }
      if (!hasMoved(store, this.#store)) {
        throw beaconProblem(
          "NO_LIGHT_CLIENT",
          `${path}: expected the committee of period ${from + 1}, got ${updates.length} updates that do not prove it`,
          { period: from, updates: updates.length },
        );
      }
      store = this.#store;
    }
  }

  async #take(update: LightClientUpdate, signal: AbortSignal): Promise<void> {
    const { params, clock, verify, onNotYet } = this.#modules;
    const store = this.#store as LightClientStore;
    const finalized = update.finalized_header?.beacon.slot ?? 0;
    // Nothing that was not proved before: a signature costs more than the question.
    if (update.next_sync_committee === undefined && finalized < store.finalized.beacon.slot) return;
    const verdict = checkLightClientUpdate(store, update, slotAt(clock.wall(), params), params);
    if (!verdict.ok) {
      if (verdict.refusal.code === "SPRINT_BEACON_STALE") return;
      if (NOT_YET.has(verdict.refusal.code)) return onNotYet(verdict.refusal);
      throw asError(verdict.refusal);
    }
    if (!hasMoved(store, verdict.store)) return;
    if (!(await verify(verdict.signature, signal))) {
      throw new SprintError(
        "SPRINT_BEACON_SIGNATURE",
        `light client: expected the sync committee's signature of slot ${update.attested_header.beacon.slot}, got one that does not hold`,
        { slot: update.attested_header.beacon.slot },
      );
    }
    this.#store = verdict.store;
  }
}

function needsUpdates(store: LightClientStore, period: number, params: BeaconParams): boolean {
  const behind = period - storePeriod(store, params);
  return behind > 1 || (behind === 1 && store.next === null);
}

function hasMoved(before: LightClientStore, after: LightClientStore | null): boolean {
  if (after === null) return false;
  return after.finalized.beacon.slot > before.finalized.beacon.slot || (after.next !== null && before.next === null);
}

/** The fork and the content: of SSZ the header names the fork, JSON has both. */
function contentOf({ body, version }: BeaconAnswer, path: string) {
  const json = body instanceof Uint8Array ? null : (body as { version?: unknown; data?: unknown } | null);
  const fork = json?.version ?? version;
  if (!isBeaconFork(fork)) {
    throw new SprintError(
      "SPRINT_BEACON_FORK",
      `${path}: expected a fork that this build knows, up to Fulu, got ${String(fork).slice(0, 32)}`,
    );
  }
  return [fork, json === null ? body : json.data] as const;
}

function asError({ code, message, data }: Refusal): SprintError {
  return new SprintError(code, message, data);
}
