/** Real light client data of mainnet: two periods, with the signatures of three of their committees. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import {
  beaconParamsFor,
  type BeaconParams,
  checkLightClientUpdate,
  executionOf,
  executionOfBlock,
  holdsSyncSignature,
  type LightClientMessages,
  type LightClientStore,
  type LightClientUpdate,
  readLightClient,
  rootOfHeader,
  slotAt,
  startLightClient,
} from "../../../../src/daemon/chain/index.ts";
import { lightClientTypes } from "../../../../src/daemon/chain/beacon/containers.ts";
import { forkDataRoot } from "../../../../src/daemon/chain/beacon/signature.ts";
import { hasData, readData } from "../../../fakes/data.ts";
import { encodeSsz, jsonOf } from "../../../fakes/ssz.ts";

const skip = !hasData && "no chain data";
const mainnet = beaconParamsFor("mainnet") as BeaconParams;
const TRUSTED = "0x33d75f8506929d950a6d9e43508e92e50a072a39978821900e3a2e261f80ddbf";
/** The evening of 2024-10-25, after the data. */
const NOW = slotAt(Date.UTC(2024, 9, 25, 20), mainnet);

/** Fork digest and SSZ. */
function contentOf(name: string): Buffer {
  const { content_value: hex } = parse(readData(`ethereum/beacon/light-client-deneb-${name}.yaml`).toString()) as {
    content_value: string;
  };
  return Buffer.from(hex.slice(2), "hex");
}

function read<K extends keyof LightClientMessages>(kind: K, content: Buffer): LightClientMessages[K] {
  assert.deepEqual(
    content.subarray(0, 4),
    Buffer.from(forkDataRoot(0x04000000, mainnet).subarray(0, 4)),
    "fork digest",
  );
  return readLightClient(kind, "deneb", content.subarray(4), mainnet);
}

/** A list: the offsets of its items stand before them. */
function updates(): readonly LightClientUpdate[] {
  const content = contentOf("updates");
  const second = content.readUInt32LE(4);
  return [content.subarray(8, second), content.subarray(second)].map((each) => read("update", each));
}

function started(): LightClientStore {
  const verdict = startLightClient(read("bootstrap", contentOf("bootstrap")), TRUSTED, mainnet);
  assert.ok(verdict.ok);
  return verdict.store;
}

async function take(store: LightClientStore, update: LightClientUpdate): Promise<LightClientStore> {
  const verdict = checkLightClientUpdate(store, update, NOW, mainnet);
  assert.ok(verdict.ok, verdict.ok ? "" : verdict.refusal.message);
  assert.ok(await holdsSyncSignature(verdict.signature), "the committee's signature");
  return verdict.store;
}

test("from a trusted root over two periods to the finalized block of mainnet", { skip }, async () => {
  let store = started();
  assert.deepEqual(executionOf(store.finalized), {
    hash: "0x77892a824c4687b6a9cd13ce1c977071ba9ce0fc3fb00bc06e48c3f2ccb82c4e",
    height: 21_037_711,
  });
  const [first, second] = updates() as [LightClientUpdate, LightClientUpdate];
  store = await take(store, first);
  assert.ok(
    store.next !== null && store.finalized.beacon.slot === 10_248_000,
    "older, but it tells the next committee",
  );
  const finality = read("finality_update", contentOf("finality-update"));
  assert.equal((await take(store, finality)).finalized.beacon.slot, 10_248_384, "signed by the next committee");
  store = await take(store, second);
  assert.equal(store.finalized.beacon.slot, 10_248_192);
  store = await take(store, finality);
  assert.deepEqual(executionOf(store.finalized), {
    hash: "0x4385bc35a5f2e2760f51c40626a63fe274c14bf9cccc5de739aff3e15432a293",
    height: 21_038_093,
  });
  const optimistic = read("optimistic_update", contentOf("optimistic-update"));
  assert.deepEqual(await take(store, optimistic), store, "nothing final in it, but signed");
  assert.equal(executionOf(optimistic.attested_header)?.height, 21_038_166);
});

test("what is read of SSZ is the same in JSON, and makes the same bytes", { skip }, () => {
  const types = lightClientTypes("deneb", 512);
  for (const [kind, file] of [
    ["bootstrap", "bootstrap"],
    ["finality_update", "finality-update"],
    ["optimistic_update", "optimistic-update"],
  ] as const) {
    const content = contentOf(file);
    const value = read(kind, content);
    assert.deepEqual(readLightClient(kind, "deneb", jsonOf(value), mainnet), value);
    assert.ok(encodeSsz(types[kind], value as never).equals(content.subarray(4)));
  }
});

test("no byte of a real update may be another", { skip }, async () => {
  const store = await take(started(), updates()[0] as LightClientUpdate);
  const content = contentOf("finality-update").subarray(4);
  const codes = new Set<string>();
  for (let at = 0; at < content.length; at += 7) {
    const tampered = Buffer.from(content);
    tampered[at] = (tampered[at] as number) ^ 0x10;
    let code: string;
    try {
      const update = readLightClient("finality_update", "deneb", tampered, mainnet);
      const verdict = checkLightClientUpdate(store, update, NOW, mainnet);
      code = verdict.ok
        ? (await holdsSyncSignature(verdict.signature))
          ? "taken"
          : "signature"
        : verdict.refusal.code;
    } catch (error) {
      code = (error as { code: string }).code;
    }
    assert.notEqual(code, "taken", `byte ${at}`);
    codes.add(code);
  }
  assert.deepEqual([...codes].toSorted(), [
    "SPRINT_BEACON_EXECUTION",
    "SPRINT_BEACON_FINALITY",
    "SPRINT_BEACON_FUTURE",
    "SPRINT_BEACON_NUMBER",
    "SPRINT_BEACON_SLOTS",
    "SPRINT_BEACON_SSZ",
    "signature",
  ]);
});

test("a bootstrap must be the trusted block's and hold its committee", { skip }, () => {
  const bootstrap = read("bootstrap", contentOf("bootstrap"));
  assert.equal(rootOfHeader(bootstrap.header), TRUSTED);
  const codeOf = (changed: object, root = TRUSTED): string => {
    const verdict = startLightClient({ ...bootstrap, ...changed }, root, mainnet);
    return verdict.ok ? "taken" : verdict.refusal.code;
  };
  const { header, current_sync_committee: committee } = bootstrap;
  const execution = { ...header.execution, block_number: 1 };
  assert.equal(codeOf({}, TRUSTED.toUpperCase().replace("0X", "0x")), "taken");
  assert.equal(codeOf({}, `0x${"11".repeat(32)}`), "SPRINT_BEACON_TRUSTED_ROOT");
  assert.equal(codeOf({ header: { ...header, execution } }), "SPRINT_BEACON_EXECUTION");
  assert.equal(codeOf({ header: { beacon: header.beacon } }), "SPRINT_BEACON_EXECUTION");
  const pubkeys = committee.pubkeys.toReversed();
  assert.equal(codeOf({ current_sync_committee: { ...committee, pubkeys } }), "SPRINT_BEACON_COMMITTEE");
  const aggregate_pubkey = committee.pubkeys[0];
  assert.equal(codeOf({ current_sync_committee: { ...committee, aggregate_pubkey } }), "SPRINT_BEACON_COMMITTEE");
});

test("the execution block of a beacon block, before blobs and with them", { skip }, () => {
  // The files hold the blocks as they are signed; nodes serve them with an offset and the signature before.
  const signed = (name: string): Buffer =>
    Buffer.concat([Buffer.from([100, 0, 0, 0]), Buffer.alloc(96), readData(`ethereum/beacon/${name}`)]);
  const merge = signed("block-15537394.ssz");
  assert.deepEqual(executionOfBlock("bellatrix", merge, mainnet), {
    hash: "0x56a9bb0302da44b8c0b3df540781424684c3af04d0b7a38d72842b762076a664",
    height: 15_537_394,
  });
  assert.equal(executionOfBlock("altair", merge, mainnet), null);
  const deneb = signed("block-19426587.ssz");
  const point = executionOfBlock("deneb", deneb, mainnet);
  assert.equal(point?.height, 19_426_587);
  const payload = { block_number: "19426587", block_hash: point?.hash };
  const json = { message: { body: { execution_payload: payload } } };
  assert.deepEqual(executionOfBlock("deneb", json, mainnet), point);
  assert.deepEqual(
    executionOfBlock("deneb", { message: { body: { execution_payload_header: payload } } }, mainnet),
    point,
  );
  for (const length of [0, 100, 183, 400, 1_000]) {
    assert.throws(() => executionOfBlock("deneb", deneb.subarray(0, length), mainnet), { code: "SPRINT_BEACON_SSZ" });
  }
  assert.throws(() => executionOfBlock("deneb", {}, mainnet), { code: "SPRINT_BEACON_JSON" });
});
