/**
 * A watch book that knows nothing but the chain: after each step it looks at the whole of it and says what must have been told.
 * The chain's transactions pay to and spend from a few scripts; which are in a block is up to the steps.
 */
import type { Movement } from "../../../src/shared/body.ts";
import type { WatchData } from "../../../src/shared/events.ts";
import type { WatchBlock } from "../../../src/daemon/watch/index.ts";

export interface Tx {
  readonly txid: string;
  readonly movements: readonly Movement[];
  readonly spends: readonly string[];
}

export interface ChainBlock extends WatchBlock {
  readonly txs: readonly Tx[];
}

export interface ListRule {
  readonly id: string;
  readonly items: ReadonlySet<string>;
  readonly confirmations: readonly number[];
}

type Said = Pick<WatchData, "state" | "confirmations" | "block" | "sequence">;

interface Standing {
  block: WatchBlock | null;
  confirmed: Set<number>;
  isFinal: boolean;
  sequence: number;
}

export class Reference {
  /** The best chain, oldest first; index is the height. */
  readonly chain: ChainBlock[] = [];
  readonly #lists: ListRule[] = [];
  readonly #standings = new Map<string, Standing>();
  tip = -1;
  final = -1;
  /** What must be told since the last look, by movement. */
  readonly told = new Map<string, Said[]>();

  addList(list: ListRule): void {
    this.#lists.push(list);
  }

  removeList(id: string): void {
    this.#lists.splice(
      this.#lists.findIndex((list) => list.id === id),
      1,
    );
    for (const key of this.#standings.keys()) if (key.startsWith(`${id} `)) this.#standings.delete(key);
  }

  pending(tx: Tx): void {
    for (const [key] of this.#concerned([tx])) {
      if (this.#standings.has(key)) continue;
      this.#standings.set(key, { block: null, confirmed: new Set(), isFinal: false, sequence: 1 });
      this.#say(key, { state: "seen", confirmations: 0, block: null, sequence: 1 });
    }
  }

  push(block: ChainBlock): void {
    this.chain.push(block);
    this.tip = Math.max(this.tip, block.height);
    const ref = { hash: block.hash, height: block.height };
    for (const [key] of this.#concerned(block.txs)) {
      const standing = this.#standings.get(key) ?? { block: null, confirmed: new Set(), isFinal: false, sequence: 1 };
      this.#standings.set(key, standing);
      standing.block = ref;
      this.#say(key, { state: "mined", confirmations: this.#depth(ref), block: ref, sequence: ++standing.sequence });
    }
    this.look();
  }

  pop(): ChainBlock {
    const block = this.chain.pop() as ChainBlock;
    for (const [key, standing] of this.#standings) {
      if (standing.block?.hash !== block.hash) continue;
      const ref = standing.block;
      this.#say(key, { state: "reverted", confirmations: 0, block: ref, sequence: ++standing.sequence });
      Object.assign(standing, { block: null, confirmed: new Set() });
    }
    return block;
  }

  /** Says what the tip and finality of now make due. */
  look(): void {
    const depths = new Map(this.#lists.map((list) => [list.id, list.confirmations]));
    for (const [key, standing] of this.#standings) {
      const { block } = standing;
      if (block === null) continue;
      for (const n of depths.get(key.split(" ")[0] ?? "") ?? []) {
        if (n > this.#depth(block) || standing.confirmed.has(n)) continue;
        standing.confirmed.add(n);
        this.#say(key, { state: "confirmed", confirmations: n, block, sequence: ++standing.sequence });
      }
      if (standing.isFinal || block.height > this.final) continue;
      standing.isFinal = true;
      const confirmations = this.#depth(block);
      this.#say(key, { state: "final", confirmations, block, sequence: ++standing.sequence });
    }
  }

  /** Outpoints that pay to `item`, unspent on the best chain. */
  unspent(item: string): ReadonlySet<string> {
    const txs = this.chain.flatMap(({ txs }) => txs);
    const spent = new Set(txs.flatMap(({ spends }) => spends));
    const created = txs.flatMap(({ movements }) =>
      movements.filter((each) => each.kind === "created" && each.item === item),
    );
    return new Set(created.map(({ txid, output }) => `${txid}:${output}`).filter((outpoint) => !spent.has(outpoint)));
  }

  *#concerned(txs: readonly Tx[]): Iterable<[string, Movement]> {
    for (const { movements } of txs) {
      for (const movement of movements) {
        for (const { id, items } of this.#lists) {
          if (items.has(movement.item)) yield [`${id} ${nameOf(movement)}`, movement];
        }
      }
    }
  }

  #depth({ height }: WatchBlock): number {
    return Math.max(1, this.tip - height + 1);
  }

  #say(key: string, said: Said): void {
    this.told.set(key, [...(this.told.get(key) ?? []), said]);
  }
}

export function nameOf({ item, txid, output, kind }: Pick<Movement, "item" | "txid" | "output" | "kind">): string {
  return `${kind} ${txid} ${output} ${item}`;
}
