/** The protocol on a chain with keys of its own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkLightClientUpdate,
  executionOf,
  holdsSyncSignature,
  type LightClientStore,
  type LightClientUpdate,
  readLightClient,
  startLightClient,
} from "../../../../src/daemon/chain/index.ts";
import { lightClientTypes } from "../../../../src/daemon/chain/beacon/containers.ts";
import { signingRoot } from "../../../../src/daemon/chain/beacon/signature.ts";
import {
  blockAt,
  bootstrapAt,
  COMMITTEE,
  committeeOf,
  executionHashAt,
  finalityUpdateOf,
  forkOf,
  heightAt,
  secretsOf,
  sign,
  SLOTS_PER_PERIOD,
  TEST_PARAMS,
  updateOf,
} from "../../../fakes/beacon-chain.ts";
import { encodeSsz, jsonOf } from "../../../fakes/ssz.ts";

const FAR = 100_000;

function startedAt(slot: number): LightClientStore {
  const bootstrap = bootstrapAt(slot);
  const verdict = startLightClient(bootstrap, bootstrap.root, TEST_PARAMS);
  assert.ok(verdict.ok);
  return verdict.store;
}

/** The store after it, or what is wrong with it. */
async function take(store: LightClientStore, update: LightClientUpdate, now = FAR): Promise<LightClientStore | string> {
  const verdict = checkLightClientUpdate(store, update, now, TEST_PARAMS);
  if (!verdict.ok) return verdict.refusal.code;
  return (await holdsSyncSignature(verdict.signature)) ? verdict.store : "SPRINT_BEACON_SIGNATURE";
}

async function taken(store: LightClientStore, update: LightClientUpdate): Promise<LightClientStore> {
  const after = await take(store, update);
  assert.ok(typeof after !== "string", String(after));
  return after;
}

test("a bootstrap, an update of each period over five forks, a finality update", async () => {
  let store = startedAt(16);
  for (let period = 0; period < 6; period++) {
    const first = period * SLOTS_PER_PERIOD;
    const update = updateOf({ attested: first + 40, finalized: first + 24 });
    const fork = forkOf(first + 40);
    // As it comes from a node, in both forms.
    const sent = encodeSsz(lightClientTypes(fork, COMMITTEE).update, update as never);
    const heard = readLightClient("update", fork, sent, TEST_PARAMS);
    assert.deepEqual(readLightClient("update", fork, jsonOf(update), TEST_PARAMS), heard);
    store = await taken(store, heard);
    assert.equal(store.finalized.beacon.slot, first + 24);
    assert.deepEqual(store.next, committeeOf(period + 1));
    const execution = { hash: executionHashAt(first + 24), height: heightAt(first + 24) };
    assert.deepEqual(executionOf(store.finalized), period === 0 ? null : execution, fork);
  }
  store = await taken(store, finalityUpdateOf({ attested: 384 + 20, finalized: 384 + 8 }));
  assert.deepEqual(
    [store.finalized.beacon.slot, store.next],
    [392, null],
    "the committee after this one is not told yet",
  );
  assert.deepEqual(store.current, committeeOf(6));
});

test("headers of the fork before, in the containers of the fork after", async () => {
  for (const [slot, deeper] of [
    [128, 0],
    [192, 1],
  ] as const) {
    const store = await taken(startedAt(slot - 60), updateOf({ attested: slot - 30, finalized: slot - 50 }));
    const update = finalityUpdateOf({ attested: slot - 2, finalized: slot - 10 });
    const fork = forkOf(slot);
    const upgraded = (header: LightClientUpdate["attested_header"]) => ({
      ...header,
      execution: { blob_gas_used: 0n, excess_blob_gas: 0n, ...header.execution },
    });
    const branch = [...Array.from({ length: deeper }, () => new Uint8Array(32)), ...(update.finality_branch ?? [])];
    const container = {
      ...update,
      attested_header: upgraded(update.attested_header),
      finalized_header: upgraded(update.finalized_header ?? update.attested_header),
      finality_branch: branch,
    };
    const read = readLightClient("finality_update", fork, jsonOf(container), TEST_PARAMS);
    assert.equal((await taken(store, read)).finalized.beacon.slot, slot - 10, fork);
    if (deeper === 0) continue;
    branch[0] = new Uint8Array(32).fill(1);
    assert.equal(await take(store, { ...read, finality_branch: branch }), "SPRINT_BEACON_FINALITY");
  }
});

test("each lie has its code", async () => {
  // Period 2, slots 128 to 191, Deneb.
  const store = await taken(startedAt(136), updateOf({ attested: 160, finalized: 144 }));
  const good = { attested: 180, finalized: 168 };
  const update = updateOf(good);
  const other = updateOf({ attested: 181, finalized: 168 });
  const signature = update.sync_aggregate.sync_committee_signature;
  const bits = update.sync_aggregate.sync_committee_bits;
  const signed = (sync_committee_signature: Uint8Array, sync_committee_bits = bits): Partial<LightClientUpdate> => ({
    sync_aggregate: { sync_committee_bits, sync_committee_signature },
  });
  const flipped = (bytes: Uint8Array, at = 5): Uint8Array => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
  const header = update.attested_header;
  const message = signingRoot(header.beacon, update.signature_slot, TEST_PARAMS);
  const beforeFork = signingRoot(header.beacon, 128, TEST_PARAMS);
  assert.notDeepEqual(beforeFork, message, "another fork signs otherwise");

  const lies: readonly (readonly [string, Partial<LightClientUpdate>])[] = [
    ["SPRINT_BEACON_SIGNATURE", signed(other.sync_aggregate.sync_committee_signature)],
    ["SPRINT_BEACON_SIGNATURE", signed(sign(message, secretsOf(3).slice(2)))],
    ["SPRINT_BEACON_SIGNATURE", signed(sign(beforeFork, secretsOf(2).slice(2)))],
    ["SPRINT_BEACON_SIGNATURE", signed(signature, flipped(bits, 3))],
    ["SPRINT_BEACON_SIGNATURE", signed(flipped(signature, 95))],
    ["SPRINT_BEACON_SIGNATURE", signed(new Uint8Array(96))],
    ["SPRINT_BEACON_SIGNATURE", signed(Uint8Array.from({ length: 96 }, (_, i) => (i === 0 ? 0xc0 : 0)))],
    ["SPRINT_BEACON_SIGNATURE", { attested_header: { ...header, beacon: { ...header.beacon, proposer_index: 999 } } }],
    ["SPRINT_BEACON_FINALITY", { finality_branch: other.finality_branch }],
    ["SPRINT_BEACON_FINALITY", { finalized_header: blockAt(169).header }],
    ["SPRINT_BEACON_FINALITY", { finality_branch: update.finality_branch.slice(1) }],
    ["SPRINT_BEACON_COMMITTEE", { next_sync_committee: committeeOf(4) }],
    ["SPRINT_BEACON_COMMITTEE", { next_sync_committee_branch: other.next_sync_committee_branch }],
    ["SPRINT_BEACON_EXECUTION", { attested_header: { beacon: header.beacon } }],
    [
      "SPRINT_BEACON_EXECUTION",
      { attested_header: { ...header, execution_branch: other.attested_header.execution_branch ?? [] } },
    ],
    ["SPRINT_BEACON_SLOTS", { signature_slot: header.beacon.slot }],
    ["SPRINT_BEACON_SLOTS", { finalized_header: blockAt(181).header }],
    ["SPRINT_BEACON_PERIOD", { signature_slot: 256 }],
  ];
  for (const [code, lie] of lies)
    assert.equal(await take(store, { ...update, ...lie }), code, String(Object.keys(lie)));
  assert.equal((await taken(store, update)).finalized.beacon.slot, 168);

  assert.equal(await take(store, updateOf(good), 180), "SPRINT_BEACON_FUTURE");
  assert.equal(typeof (await take(store, updateOf(good), 181)), "object", "signed in this slot");
  assert.equal(await take(store, updateOf({ ...good, absent: 11 })), "SPRINT_BEACON_PARTICIPATION");
  assert.equal(typeof (await take(store, updateOf({ ...good, absent: 10 }))), "object", "22 of 32");
  assert.equal(await take(store, finalityUpdateOf({ attested: 144, finalized: 137 })), "SPRINT_BEACON_STALE");
  const twice = finalityUpdateOf({ attested: 180, finalized: 144, finalizedVariant: "other" });
  assert.equal(await take(store, twice), "SPRINT_BEACON_EQUIVOCATION");
});

test("a committee signs in its own period only, and the next one once it is known", async () => {
  const store = startedAt(136);
  const later = finalityUpdateOf({ attested: 200, finalized: 190 });
  assert.equal(await take(store, later), "SPRINT_BEACON_PERIOD", "not known yet who signs");
  const next = await taken(store, updateOf({ attested: 160, finalized: 144 }));
  assert.equal(
    await take(next, finalityUpdateOf({ attested: 200, finalized: 190, signers: 2 })),
    "SPRINT_BEACON_SIGNATURE",
  );
  const moved = await taken(next, later);
  assert.deepEqual([moved.finalized.beacon.slot, moved.current], [190, committeeOf(2)], "final is the old period's");
  const crossed = await taken(moved, finalityUpdateOf({ attested: 210, finalized: 194 }));
  assert.deepEqual([crossed.current, crossed.next], [committeeOf(3), null]);
});

test("nothing is taken of an update that makes nothing final", async () => {
  const store = startedAt(136);
  const update = updateOf({ attested: 160, finalized: 144 });
  const branch = update.finality_branch.map(() => new Uint8Array(32));
  assert.deepEqual(await taken(store, { ...update, finality_branch: branch }), store);
  const unknown = await taken(store, finalityUpdateOf({ attested: 160, finalized: 144 }));
  assert.deepEqual([unknown.finalized.beacon.slot, unknown.next], [144, null]);
});

test("headers from before the light client, and slots that are no numbers", () => {
  const update = updateOf({ attested: 160, finalized: 144 });
  assert.throws(() => readLightClient("update", "phase0", jsonOf(update), TEST_PARAMS), { code: "SPRINT_BEACON_FORK" });
  const late = {
    ...TEST_PARAMS,
    forks: TEST_PARAMS.forks.map((fork) => ({ ...fork, epoch: fork.name === "phase0" ? 0 : 99 })),
  };
  const bootstrap = bootstrapAt(16);
  const verdict = startLightClient(bootstrap, bootstrap.root, late);
  assert.ok(!verdict.ok && verdict.refusal.code === "SPRINT_BEACON_SLOTS");
  for (const [slot, code] of [
    ["9007199254740992", "NUMBER"],
    ["18446744073709551616", "JSON"],
    ["-1", "JSON"],
    [5, "JSON"],
  ] as const) {
    const json = { ...(jsonOf(update) as object), signature_slot: slot };
    assert.throws(() => readLightClient("update", "deneb", json, TEST_PARAMS), { code: `SPRINT_BEACON_${code}` });
  }
});
