import test from "node:test";
import assert from "node:assert/strict";
import type { Movement } from "../../../src/shared/body.ts";
import type { WatchData } from "../../../src/shared/events.ts";
import {
  WatchBook,
  type WatchListDraft,
  type WatchOptions,
  type WatchRefusal,
} from "../../../src/daemon/watch/index.ts";

const SOURCE = { addresses: ["1abc"], scripts: [], xpubs: [], topics: [], programs: [] };
const PAID: Movement = { item: "aa", txid: "t1", output: 1, kind: "created", value: "500", outpoint: null };
const SPENT: Movement = { item: "aa", txid: "t2", output: 0, kind: "spent", value: "500", outpoint: "t1:1" };

function draft(fields: Partial<WatchListDraft> = {}): WatchListDraft {
  return { source: SOURCE, items: ["aa"], topics: [], confirmations: [1, 3], createdAt: 0, ...fields };
}

function bookOf(options: Partial<WatchOptions> = {}, list: Partial<WatchListDraft> | null = { id: "mine" }) {
  const events: WatchData[] = [];
  const refusals: WatchRefusal[] = [];
  const modules = {
    onEvent: (event: WatchData) => events.push(event),
    onRefused: (refusal: WatchRefusal) => refusals.push(refusal),
  };
  const book = new WatchBook({ chain: "bitcoin", ...options }, modules);
  if (list !== null) book.add(draft(list));
  /** Takes what was told since the last look, a word each. */
  const told = (): string[] =>
    events.splice(0).map(({ txid, kind, state, confirmations, block, sequence }) => {
      return `${txid} ${kind} ${state} ${confirmations} ${block?.hash ?? "-"} #${sequence}`;
    });
  return { book, events, refusals, modules, told };
}

function blockAt(height: number, branch = ""): { hash: string; height: number } {
  return { hash: `b${height}${branch}`, height };
}

function moved(txid: string, item = "aa"): Movement {
  return { ...PAID, txid, item };
}

function code(what: string) {
  return { code: `SPRINT_WATCH_${what}` };
}

test("a payment's life: seen, mined, reverted, mined elsewhere, confirmed, final", () => {
  const { book, told } = bookOf();
  book.pending("t1", [PAID]);
  book.pending("t1", [PAID]);
  book.mined(blockAt(7), [PAID]);
  book.tip(8);
  book.reverted(blockAt(8));
  book.reverted(blockAt(7));
  book.pending("t1", [PAID]);
  book.mined(blockAt(7, "x"), []);
  book.mined(blockAt(8, "x"), [PAID]);
  book.tip(9);
  book.tip(10);
  book.tip(9);
  book.tip(10);
  book.final(8);
  book.final(9);
  assert.deepEqual(told(), [
    "t1 created seen 0 - #1",
    "t1 created mined 1 b7 #2",
    "t1 created confirmed 1 b7 #3",
    "t1 created reverted 0 b7 #4",
    "t1 created mined 1 b8x #5",
    "t1 created confirmed 1 b8x #6",
    "t1 created confirmed 3 b8x #7",
    "t1 created final 3 b8x #8",
  ]);
});

test("an event carries its movement, list and block", () => {
  const { book, events } = bookOf({}, { id: "mine", confirmations: [] });
  book.mined(blockAt(7), [PAID, { ...SPENT, item: "bb" }]);
  const { item, txid, output, kind, value, outpoint } = PAID;
  const state = { list: "mine", state: "mined", confirmations: 1, block: { hash: "b7", height: 7 }, sequence: 2 };
  assert.deepEqual(events, [{ item, txid, output, kind, value, outpoint, ...state }]);
});

test("a depth above finality is told after it, and a body proved late is told with the depth it has", () => {
  const { book, told } = bookOf({}, { id: "mine", confirmations: [3, 1] });
  book.final(7);
  book.tip(8);
  book.mined(blockAt(7), [PAID]);
  book.tip(9);
  const expected = ["mined 2 b7 #2", "confirmed 1 b7 #3", "final 2 b7 #4", "confirmed 3 b7 #5"];
  assert.deepEqual(
    told(),
    expected.map((words) => `t1 created ${words}`),
  );
});

test("a block is undone from its end, a final one not at all, and one that was never told says nothing", () => {
  const { book, told } = bookOf({}, { id: "mine", confirmations: [] });
  book.mined(blockAt(5), [moved("t0")]);
  book.mined(blockAt(6), [PAID, SPENT]);
  book.final(5);
  told();
  book.reverted(blockAt(6, "x"));
  book.reverted(blockAt(6));
  book.reverted(blockAt(5));
  assert.deepEqual(told(), ["t2 spent reverted 0 b6 #3", "t1 created reverted 0 b6 #3"]);
  assert.deepEqual(
    book.unspent("aa", { limit: 9, after: 0 }).outputs.map(({ txid }) => txid),
    ["t0"],
  );
});

test("a movement cannot be in two blocks: in the second it is told to have left the first", () => {
  const { book, told } = bookOf({}, { id: "mine", confirmations: [] });
  book.mined(blockAt(6), [PAID]);
  book.mined(blockAt(7), [PAID]);
  book.reverted(blockAt(6));
  assert.deepEqual(told().slice(1), ["t1 created reverted 0 b6 #3", "t1 created mined 1 b7 #4"]);
});

test("the watch set is the same until it changes, and holds each output from its first sight to the end of its spend", () => {
  const { book } = bookOf();
  const before = book.watch;
  book.tip(5);
  assert.equal(book.watch, before);
  assert.deepEqual(before, { items: new Set(["aa"]), topics: new Set(), outpoints: new Map() });

  book.pending("t1", [PAID]);
  const seen = book.watch;
  assert.deepEqual([...seen.outpoints], [["t1:1", "aa"]]);
  assert.equal(before.outpoints.size, 0);
  book.mined(blockAt(6), [PAID]);
  book.mined(blockAt(7), [SPENT]);
  book.final(6);
  assert.equal(book.watch, seen);
  book.final(7);
  assert.equal(book.watch.outpoints.size, 0);
  assert.equal(book.watch.items, seen.items);
});

test("what is read at once is read for the outputs of this moment", () => {
  const { book } = bookOf();
  const { live, watch } = book;
  book.pending("t1", [PAID]);
  assert.deepEqual([...live.outpoints], [["t1:1", "aa"]]);
  assert.equal(watch.outpoints.size, 0);
  book.mined(blockAt(6), [PAID, SPENT]);
  book.final(6);
  assert.equal(live.outpoints.size, 0);
  book.add(draft({ items: ["bb"], topics: ["tt"] }));
  assert.deepEqual([book.live.items, book.live.topics], [book.watch.items, book.watch.topics]);
  assert.deepEqual(book.live.items, new Set(["aa", "bb"]));
});

test("unspent outputs come in pages, with who wants to spend them", () => {
  const { book } = bookOf();
  book.mined(blockAt(6), [moved("t5"), PAID, moved("t6")]);
  book.pending("t2", [SPENT]);
  book.pending("t7", [moved("t7")]);
  const first = book.unspent("aa", { limit: 2, after: 0 });
  assert.deepEqual(
    first.outputs.map(({ outpoint, spender, created }) => [outpoint, spender, created]),
    [
      ["t5:1", null, blockAt(6)],
      ["t1:1", "t2", blockAt(6)],
    ],
  );
  book.mined(blockAt(7), [SPENT]);
  book.pending("t3", [{ ...SPENT, txid: "t3" }]);
  const second = book.unspent("aa", { limit: 2, after: first.nextAfter ?? 0 });
  assert.deepEqual([second.outputs.map(({ outpoint }) => outpoint), second.nextAfter], [["t6:1"], null]);
  assert.equal(book.save().outputs.find(({ outpoint }) => outpoint === "t1:1")?.spender, "t2");
  assert.deepEqual(book.unspent("bb", { limit: 2, after: 0 }), { outputs: [], nextAfter: null });
});

test("a log is told for its address and for its topic, to each list by its own depths", () => {
  const { book, events } = bookOf({ chain: "ethereum" }, null);
  book.add(draft({ id: "contract", items: ["0xcc"], confirmations: [] }));
  book.add(draft({ id: "both", items: ["0xcc"], topics: ["0xtt"], confirmations: [1] }));
  assert.deepEqual(book.watch.topics, new Set(["0xtt"]));
  const log: Movement = { item: "0xcc", txid: "0x1", output: 4, kind: "log", value: null, outpoint: null };
  book.mined(blockAt(3), [log, { ...log, item: "0xtt" }]);
  assert.deepEqual(
    events.map(({ list, item, state }) => `${list} ${item} ${state}`),
    ["contract 0xcc mined", "both 0xcc mined", "both 0xtt mined", "both 0xcc confirmed", "both 0xtt confirmed"],
  );
  assert.equal(book.watch.outpoints.size, 0);
});

test("a list that is gone is told nothing, and what only it watched is forgotten", () => {
  const { book, told } = bookOf();
  book.add(draft({ items: ["aa", "bb"], confirmations: [] }));
  book.mined(blockAt(6), [PAID, moved("t5", "bb")]);
  told();
  assert.ok(book.remove("list-1"));
  assert.ok(!book.remove("list-1"));
  assert.deepEqual([...book.watch.items, ...book.watch.outpoints.keys()], ["aa", "t1:1"]);
  book.reverted(blockAt(6));
  assert.deepEqual(told(), ["t1 created reverted 0 b6 #4"]);
  book.remove("mine");
  assert.ok(book.isEmpty);
  assert.deepEqual(book.save().tracks, []);
});

test("lists have names, sorted depths and bounds; what is refused changes nothing", () => {
  const { book } = bookOf({ maxLists: 3, maxListItems: 3, maxItems: 4 }, null);
  const list = book.add(draft({ items: ["aa", "aa"], confirmations: [6, 1, 6] }));
  assert.deepEqual([list.id, list.items, list.confirmations, list.source], ["list-1", ["aa"], [1, 6], SOURCE]);
  assert.throws(() => book.add(draft({ id: "list-1" })), code("EXISTS"));
  assert.throws(() => book.add(draft({ id: "No" })), code("ID"));
  assert.throws(() => book.add(draft({ items: [] })), code("EMPTY"));
  assert.throws(() => book.add(draft({ confirmations: [0] })), code("DEPTH"));
  assert.throws(() => book.add(draft({ confirmations: [1_001] })), code("DEPTH"));
  assert.throws(() => book.add(draft({ items: ["aa", "bb", "cc"], topics: ["tt"] })), code("ITEMS_FULL"));
  assert.equal(book.lists().length, 1);

  book.add(draft({ id: "list-2", items: ["aa", "bb", "cc"] }));
  assert.throws(() => book.extend("list-1", ["dd", "ee"]), code("ITEMS_FULL"));
  assert.throws(() => book.extend("none", ["dd"]), code("UNKNOWN"));
  assert.deepEqual(book.extend("list-1", ["dd", "aa"]).items, ["aa", "dd"]);
  assert.deepEqual(book.list("list-1")?.items, ["aa", "dd"]);
  assert.deepEqual([...book.watch.items], ["aa", "dd", "bb", "cc"]);
  assert.equal(book.add(draft({ items: ["bb"] })).id, "list-3");
  assert.throws(() => book.add(draft()), code("LISTS_FULL"));
});

test("at its bound the book forgets the oldest that waits, and refuses what would be in a block", () => {
  const { book, told, refusals } = bookOf(
    { maxWaiting: 2, maxMovements: 2, keepFinished: 1 },
    { id: "mine", confirmations: [] },
  );
  for (const txid of ["t1", "t2", "t3"]) book.pending(txid, [moved(txid)]);
  assert.equal(book.save().tracks.length, 2);
  told();
  book.mined(blockAt(6), [moved("t1"), moved("t2"), moved("t4")]);
  // the first was forgotten, and is numbered as if it had not been; the second was known; no room is left for another one
  assert.deepEqual(told(), ["t1 created mined 1 b6 #2", "t2 created mined 1 b6 #2"]);
  assert.deepEqual(
    refusals.map((refusal) => [refusal.code, refusal.movement.txid]),
    [["SPRINT_WATCH_MOVEMENTS_FULL", "t4"]],
  );
  book.final(6);
  assert.deepEqual(
    book.save().tracks.map(({ movement, finished }) => [movement.txid, finished]),
    [
      ["t3", false],
      ["t2", true],
    ],
  );
  told();
  book.mined(blockAt(7), [moved("t5")]);
  assert.deepEqual(told(), ["t5 created mined 1 b7 #2"]);
});

test("at their bound outputs in no block make room for others, those in blocks do not", () => {
  const { book, refusals } = bookOf({ maxOutputs: 2 });
  book.pending("t1", [PAID]);
  book.mined(blockAt(6), [moved("t5"), moved("t6")]);
  assert.deepEqual([...book.watch.outpoints.keys()], ["t5:1", "t6:1"]);
  book.mined(blockAt(7), [PAID]);
  assert.deepEqual([...book.watch.outpoints.keys()], ["t5:1", "t6:1"]);
  assert.deepEqual(
    refusals.map((refusal) => [refusal.code, refusal.movement.txid]),
    [["SPRINT_WATCH_OUTPUTS_FULL", "t1"]],
  );
});

test("a restored book goes on, names no list twice, and is no other chain's", () => {
  const { book, modules, told } = bookOf({}, {});
  book.pending("t2", [moved("t2")]);
  book.mined(blockAt(6), [PAID]);
  book.remove("list-1");
  book.add(draft());
  book.mined(blockAt(7), [moved("t3")]);
  const saved = JSON.parse(JSON.stringify(book.save()));
  told();

  const other = WatchBook.restore(saved, { chain: "bitcoin" }, modules);
  assert.deepEqual(told(), []);
  other.mined(blockAt(7), [moved("t3")]);
  assert.deepEqual(told(), [], "a block told before the crash is not told again");
  other.tip(9);
  other.reverted(blockAt(7));
  assert.deepEqual(told(), ["t3 created confirmed 3 b7 #4", "t3 created reverted 0 b7 #5"]);
  assert.equal(other.add(draft()).id, "list-3");
  assert.throws(() => WatchBook.restore(saved, { chain: "litecoin" }, modules), code("SAVED"));
  assert.throws(() => WatchBook.restore({ ...saved, version: 2 }, { chain: "bitcoin" }, modules), code("SAVED"));
});
