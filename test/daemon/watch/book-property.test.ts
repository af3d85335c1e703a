/** Random interleavings of what nodes do, against a reference that looks at the whole chain each time. */
import test from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { WatchData } from "../../../src/shared/events.ts";
import { WatchBook } from "../../../src/daemon/watch/index.ts";
import { type ChainBlock, nameOf, Reference, type Tx } from "./reference.ts";

const SCRIPTS = ["aa", "bb", "cc"];
const NOTHING = { addresses: [], scripts: [], xpubs: [], topics: [], programs: [] };
const OPTIONS = { chain: "bitcoin" };

type Step =
  | { readonly do: "pay"; readonly to: number; readonly spend: number; readonly heard: boolean }
  | { readonly do: "hear"; readonly which: number }
  | { readonly do: "mine"; readonly take: number }
  | { readonly do: "reorg"; readonly depth: number; readonly take: number; readonly again: boolean }
  | { readonly do: "rollback" | "final"; readonly by: number }
  | { readonly do: "list" | "restore" };

const small = fc.nat(7);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("pay" as const), to: small, spend: small, heard: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("hear" as const), which: small }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("mine" as const), take: small }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("reorg" as const), depth: small, take: small, again: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("rollback" as const, "final" as const), by: small }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("list" as const, "restore" as const) }) },
);

class World {
  readonly reference = new Reference();
  readonly events: WatchData[] = [];
  #book: WatchBook;
  #txs: Tx[] = [];
  #blocks = 0;
  #hasSecond = false;
  /** Everything ever told: no movement has a sequence number twice. */
  readonly #everTold = new Set<string>();

  constructor() {
    this.#book = new WatchBook(OPTIONS, { onEvent: (event) => this.events.push(event) });
    this.#add("first", SCRIPTS, [1, 3]);
  }

  run(step: Step): void {
    switch (step.do) {
      case "pay":
        return this.#pay(step.to, step.spend, step.heard);
      case "hear":
        return this.#hear(this.#txs[step.which % (this.#txs.length || 1)]);
      case "mine":
        return this.#push(this.#blockOf(step.take));
      case "reorg":
        return this.#reorg(step.depth, step.take, step.again);
      case "rollback":
        return this.#rollback(step.by);
      case "final":
        return this.#finalize(step.by);
      case "list":
        return this.#toggleSecond();
      case "restore":
        return this.#restore();
    }
  }

  check(): void {
    const told = new Map<string, unknown[]>();
    for (const event of this.events.splice(0)) {
      const { state, confirmations, block, sequence } = event;
      const key = `${event.list} ${nameOf(event)}`;
      told.set(key, [...(told.get(key) ?? []), { state, confirmations, block, sequence }]);
      if (event.list !== "first") continue;
      assert.ok(!this.#everTold.has(`${key} ${sequence}`), `${key} told twice with ${sequence}`);
      this.#everTold.add(`${key} ${sequence}`);
    }
    assert.deepEqual(Object.fromEntries(told), Object.fromEntries(this.reference.told));
    this.reference.told.clear();
    for (const item of SCRIPTS) {
      const outpoints = this.#book.unspent(item, { limit: 1_000, after: 0 }).outputs.map(({ outpoint }) => outpoint);
      assert.deepEqual(new Set(outpoints), this.reference.unspent(item));
    }
  }

  #add(id: string, items: readonly string[], confirmations: readonly number[]): void {
    this.#book.add({ id, source: NOTHING, items, topics: [], confirmations, createdAt: 0 });
    this.reference.addList({ id, items: new Set(items), confirmations });
  }

  /** A transaction that pays a script, or nobody watched, and spends an output of another one. */
  #pay(to: number, spend: number, heard: boolean): void {
    const txid = `t${this.#txs.length}`;
    const [from, outputs] = [this.#txs[spend]?.movements ?? [], SCRIPTS[to]];
    const source = from.find(({ kind }) => kind === "created");
    const outpoint = source === undefined ? null : `${source.txid}:${source.output}`;
    const created = { txid, output: 0, kind: "created" as const, value: "5", outpoint: null };
    const spent = { txid, output: 0, kind: "spent" as const, value: "5", outpoint };
    const tx: Tx = {
      txid,
      movements: [
        ...(source === undefined ? [] : [{ ...spent, item: source.item }]),
        ...(outputs === undefined ? [] : [{ ...created, item: outputs }]),
      ],
      spends: outpoint === null ? [] : [outpoint],
    };
    this.#txs.push(tx);
    if (heard) this.#hear(tx);
  }

  #hear(tx: Tx | undefined): void {
    // a node has no transaction in its mempool whose inputs it does not know
    const known = this.#book.watch.outpoints;
    if (tx === undefined || !tx.spends.every((outpoint) => known.has(outpoint))) return;
    this.#book.pending(tx.txid, tx.movements);
    this.reference.pending(tx);
  }

  /** Every second or so of the transactions that may be in a block on the tip of now. */
  #blockOf(take: number): ChainBlock {
    const inChain = this.reference.chain.flatMap(({ txs }) => txs);
    const mined = new Set(inChain.map(({ txid }) => txid));
    const spent = new Set(inChain.flatMap(({ spends }) => spends));
    const txs: Tx[] = [];
    for (const [i, tx] of this.#txs.entries()) {
      const inputs = tx.spends.every((outpoint) => mined.has(outpoint.split(":")[0] ?? "") && !spent.has(outpoint));
      if (mined.has(tx.txid) || !inputs || ((take >> (i % 3)) & 1) === 0) continue;
      txs.push(tx);
      mined.add(tx.txid);
      for (const outpoint of tx.spends) spent.add(outpoint);
    }
    return { hash: `b${this.#blocks++}`, height: this.reference.chain.length, txs };
  }

  #push(block: ChainBlock): void {
    this.#book.tip(Math.max(this.reference.tip, block.height));
    this.#book.mined(
      block,
      block.txs.flatMap(({ movements }) => movements),
    );
    this.reference.push(block);
  }

  /** Blocks leave, and others come, or the same ones again. */
  #reorg(depth: number, take: number, again: boolean): void {
    const left = this.#pop(depth);
    if (again) for (const block of left.reverse()) this.#push(block);
    else for (let i = 0; i <= left.length; i++) this.#push(this.#blockOf(take + i));
  }

  #pop(depth: number): ChainBlock[] {
    const left: ChainBlock[] = [];
    while (left.length < depth && this.reference.chain.length - 1 > this.reference.final) {
      const block = this.reference.pop();
      this.#book.reverted(block);
      left.push(block);
    }
    return left;
  }

  #rollback(by: number): void {
    this.#pop(by);
    this.reference.tip = this.reference.chain.length - 1;
    this.#book.tip(this.reference.tip);
  }

  #finalize(by: number): void {
    this.reference.final = Math.max(this.reference.final, this.reference.chain.length - 1 - by);
    this.#book.final(this.reference.final);
    this.reference.look();
  }

  #toggleSecond(): void {
    if (this.#hasSecond) {
      this.#book.remove("second");
      this.reference.removeList("second");
    } else this.#add("second", SCRIPTS.slice(0, 2), [2, 5]);
    this.#hasSecond = !this.#hasSecond;
  }

  #restore(): void {
    const saved = JSON.parse(JSON.stringify(this.#book.save()));
    this.#book = WatchBook.restore(saved, OPTIONS, { onEvent: (event) => this.events.push(event) });
    assert.deepEqual(this.#book.save(), saved);
  }
}

test("each state of each movement is told once, in order, whatever the chain does", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 60, size: "max" }), (steps) => {
      const world = new World();
      for (const each of steps) {
        world.run(each);
        world.check();
      }
    }),
    { numRuns: 300 },
  );
});
