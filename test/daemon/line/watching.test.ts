/** Watch lists of each family: what may be watched, what becomes of it, and that no list stops a block. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { scriptOf } from "../../../src/daemon/chain/index.ts";
import type { TreeNode } from "../../../src/daemon/relay/index.ts";
import type { WatchRefusal } from "../../../src/daemon/watch/index.ts";
import { type Watching, createWatching } from "../../../src/daemon/line/watching.ts";
import type { BodyReading, Movement } from "../../../src/shared/body.ts";
import type { ChainFamily } from "../../../src/shared/chain.ts";
import type { WatchData } from "../../../src/shared/events.ts";
import { systemClock } from "../../../src/shared/clock.ts";
import { childOf, genesis } from "../relay/blocks.ts";

const ZPUB =
  "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs";
/** BIP 173, of the public key 0279BE66…. */
const ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
const SCRIPT = "0014751e76e8199196d454941c45d1b3a323f1433bd6";
const ACCOUNT = "Vote111111111111111111111111111111111111111";
const CHAINS = { utxo: "bitcoin", evm: "ethereum", svm: "solana" } as const;

function scene(family: ChainFamily = "utxo") {
  const events: WatchData[] = [];
  const refusals: WatchRefusal[] = [];
  const chain = CHAINS[family];
  const watching = createWatching(
    { chain, family, network: "mainnet" },
    {
      clock: systemClock,
      onEvent: (data) => void events.push(data),
      onRefused: (_chain, refusal) => void refusals.push(refusal),
      onChange: () => {},
    },
  );
  let block = genesis(chain);
  const prove = (...movements: readonly Movement[]): TreeNode => {
    block = childOf(block);
    const node = { block, parent: null, work: 0n };
    watching.onTip(node);
    watching.onProved(node, { logs: null, movements, digest: null as unknown as BodyReading["digest"] });
    return node;
  };
  return { watching, events, refusals, prove, states: () => events.map(({ txid, state }) => `${txid} ${state}`) };
}

function created(item: string, txid: string): Movement {
  return { item, txid, output: 0, kind: "created", value: "5000", outpoint: null };
}

function refusal(adding: Promise<unknown>): Promise<{ readonly code: string; readonly message: string }> {
  return adding.then(
    () => assert.fail("expected a refusal"),
    (error: { readonly code: string; readonly message: string }) => error,
  );
}

describe("what may be watched", () => {
  test("Bitcoin family: addresses and scripts are the same items", async () => {
    const { watching } = scene();
    const list = await watching.add({ id: "cold", addresses: [ADDRESS], scripts: [SCRIPT] });
    assert.deepEqual([...watching.watch().items], [SCRIPT]);
    assert.deepEqual([list.id, list.items, list.confirmations, list.addresses], ["cold", 1, [1], [ADDRESS]]);
    assert.equal(scriptOf(ADDRESS, { chain: "bitcoin", network: "mainnet" }), SCRIPT);
  });

  test("EVM: addresses in any case, topics", async () => {
    const { watching } = scene("evm");
    const mixed = "0x52908400098527886E0F7030069857D2E4169EE7";
    const topic = `0x${"ab".repeat(32)}`;
    await watching.add({ addresses: [mixed], topics: [topic] });
    assert.deepEqual([...watching.watch().items, ...watching.watch().topics], [mixed.toLowerCase(), topic]);
  });

  test("Solana: accounts and programs as they are written", async () => {
    const { watching } = scene("svm");
    await watching.add({ addresses: [ACCOUNT], programs: ["11111111111111111111111111111111"] });
    assert.deepEqual([...watching.watch().items].sort(), ["11111111111111111111111111111111", ACCOUNT]);
  });

  const wrong: readonly (readonly [ChainFamily, Parameters<Watching["add"]>[0], RegExp])[] = [
    ["utxo", { addresses: [ADDRESS.toUpperCase().replace("V8", "V9")] }, /^SPRINT_ADDRESS_/],
    ["utxo", { addresses: ["tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"] }, /^SPRINT_ADDRESS_/],
    ["utxo", { xpubs: ["zpub6" + "1".repeat(106)] }, /^SPRINT_XPUB_MALFORMED$/],
    ["utxo", { topics: [`0x${"ab".repeat(32)}`] }, /^SPRINT_WATCH_FAMILY$/],
    ["utxo", { programs: [ACCOUNT] }, /^SPRINT_WATCH_FAMILY$/],
    ["evm", { addresses: ["0x5290"] }, /^SPRINT_WATCH_ITEM$/],
    ["evm", { addresses: [ADDRESS] }, /^SPRINT_WATCH_ITEM$/],
    ["evm", { scripts: [SCRIPT] }, /^SPRINT_WATCH_FAMILY$/],
    ["evm", { xpubs: [ZPUB] }, /^SPRINT_WATCH_FAMILY$/],
    ["svm", { addresses: ["Vote1111"] }, /^SPRINT_WATCH_ITEM$/],
    ["svm", { topics: [`0x${"ab".repeat(32)}`] }, /^SPRINT_WATCH_FAMILY$/],
    ["svm", {}, /^SPRINT_WATCH_/],
  ];
  for (const [family, body, code] of wrong) {
    test(`${family}: not ${JSON.stringify(body).slice(0, 60)}`, async () => {
      const { watching } = scene(family);
      const error = await refusal(watching.add(body));
      assert.match(error.code, code);
      assert.ok(error.message.length > 20);
      assert.deepEqual([watching.isEmpty, watching.lists()], [true, []]);
    });
  }
});

describe("what becomes of it", () => {
  test("seen, mined, confirmed and final are told once each; a list that is gone hears no more", async () => {
    const { watching, prove, states } = scene("evm");
    const address = `0x${"a".repeat(40)}`;
    await watching.add({ id: "mine", addresses: [address], confirmations: [2] });
    const evm = {
      from: address,
      to: null,
      valueWei: "7",
      nonce: 0,
      gasLimit: 0,
      maxFeeWei: "0",
      maxTipWei: "0",
      selector: null,
      blobs: 0,
    };
    const pending = [
      { txid: "0x1", raw: null, evm },
      { txid: "0x2", raw: null, evm: { ...evm, from: "0xb" } },
      { txid: "0x3", raw: null, evm: null },
    ];
    watching.pending(pending);
    watching.pending(pending);
    assert.deepEqual(states(), ["0x1 seen"]);
    const moved: Movement = {
      item: address,
      txid: "0x1",
      output: null,
      kind: "transaction",
      value: "7",
      outpoint: null,
    };
    const node = prove(moved);
    prove();
    watching.onFinal(node);
    assert.deepEqual(states().slice(1), ["0x1 mined", "0x1 confirmed", "0x1 final"]);
    assert.equal(watching.remove("mine"), true);
    assert.equal(watching.remove("mine"), false);
    prove({ ...moved, txid: "0x4" });
    assert.equal(states().length, 4);
  });

  test("an output is listed as unspent, of an item that is on the list only", async () => {
    const { watching, prove } = scene();
    await watching.add({ id: "cold", addresses: [ADDRESS] });
    prove(created(SCRIPT, "t1"));
    const page = watching.unspent("cold", { item: ADDRESS, limit: 10, after: 0 });
    assert.deepEqual(
      page?.outputs.map(({ txid, output, value, block }) => [txid, output, value, block.height]),
      [["t1", 0, "5000", 101]],
    );
    assert.equal(watching.unspent("warm", { item: ADDRESS, limit: 10, after: 0 }), null);
    const other = `0014${"00".repeat(20)}`;
    assert.throws(() => watching.unspent("cold", { item: other, limit: 10, after: 0 }), { code: "SPRINT_WATCH_ITEM" });
  });
});

describe("extended keys", () => {
  test("forty scripts at first, as many behind each that is used", async () => {
    const { watching, prove } = scene();
    await watching.add({ id: "wallet", xpubs: [ZPUB] });
    const first = [...watching.watch().items];
    assert.equal(first.length, 40);
    assert.equal(watching.list("wallet")?.items, 40);
    prove(created(first[19] as string, "t1"));
    assert.equal(watching.watch().items.size, 60, "the last of a branch was used: twenty more behind it");
    prove(created(first[19] as string, "t2"));
    assert.equal(watching.watch().items.size, 60);
    const more = [...watching.watch().items].filter((item) => !first.includes(item));
    prove(created(more[0] as string, "t3"));
    assert.equal(watching.watch().items.size, 61);
  });

  test("whose next scripts have no room are told of it, and the block goes on its way", async () => {
    const { watching, prove, refusals, states } = scene();
    const scripts = Array.from({ length: 1_000 }, (_, at) => `0014${at.toString(16).padStart(40, "0")}`);
    await watching.add({ id: "wallet", xpubs: [ZPUB] });
    const [used] = [...watching.watch().items].slice(19, 20) as [string];
    // All that the lists together may hold, but some.
    for (let list = 0; list < 100; list++) {
      const own = scripts.map((script) => script.replace("0014", `00${(0x15 + list).toString(16).padStart(2, "0")}`));
      await watching.add({ id: `l${list}`, scripts: own.slice(0, list === 99 ? 950 : 1_000) });
    }
    assert.doesNotThrow(() => prove(created(used, "t1")));
    assert.deepEqual(
      refusals.map(({ code, movement }) => [code, movement.txid]),
      [["SPRINT_WATCH_ITEMS_FULL", "t1"]],
    );
    assert.deepEqual(states().slice(0, 1), ["t1 mined"]);
  });
});
