/** The live view's news: one line a block, which goes on as more is known of it, so that a fast chain does not drive the others out. */
import type { Chain } from "../../shared/chain.ts";
import type { StreamEvent } from "../relay/index.ts";
import type { Line, Segment, Style } from "./frame.ts";

/** Kept of each chain, and of log lines. */
const KEPT = 60;
/** Hashes begin with zeros: the end is what tells them apart. */
const HASH_LETTERS = 16;

interface Item {
  readonly time: string;
  /** Null: a log line. */
  readonly chain: Chain | null;
  readonly height: number | null;
  readonly hash: string | null;
  text: string;
  style: Style;
}

export class News {
  /** In the order in which they came up. */
  readonly #items: Item[] = [];

  event(event: StreamEvent, at: Date): void {
    const { chain } = event;
    switch (event.type) {
      case "block":
        return this.#block(event, at);
      case "reorg": {
        const { depth, common_ancestor: ancestor, reverted } = event.data;
        for (const { hash } of reverted) this.#change(chain, hash, { text: "reverted", style: "warn" });
        const text = `reorg of depth ${depth}, back to ${ancestor.height} ${tail(ancestor.hash)}`;
        return this.#add(at, { chain, height: null, hash: null, text, style: "warn" });
      }
      case "finalized": {
        const item = this.#find(chain, event.data.hash);
        if (item !== undefined) this.#change(chain, event.data.hash, { text: `final, ${item.text}`, style: "dim" });
        return;
      }
      case "gap":
        return this.#add(at, { chain, height: null, hash: null, text: `gap: ${event.data.reason}`, style: "bad" });
      default:
        return this.#add(at, { chain, height: null, hash: null, text: event.type, style: "dim" });
    }
  }

  note(text: string, at: Date): void {
    this.#add(at, { chain: null, height: null, hash: null, text, style: "dim" });
  }

  /** At most `max` lines, newest last; while they have news, each chain gets its share of them. */
  lines(max: number): readonly Line[] {
    const sources = new Set(this.#items.map(({ chain }) => chain));
    const share = Math.max(1, Math.floor(max / Math.max(1, sources.size)));
    const newest = this.#items.toReversed();
    const taken = new Map<Chain | null, number>();
    const isWithinShare = ({ chain }: Item): boolean => {
      const count = (taken.get(chain) ?? 0) + 1;
      taken.set(chain, count);
      return count <= share;
    };
    const fair = newest.filter(isWithinShare).slice(0, max);
    const rest = newest.filter((item) => !fair.includes(item)).slice(0, max - fair.length);
    const shown = new Set([...fair, ...rest]);
    const items = this.#items.filter((item) => shown.has(item));
    const chains = Math.max(0, ...items.map(({ chain }) => chain?.length ?? 0));
    const heights = Math.max(0, ...items.map(({ height }) => String(height ?? "").length));
    return items.map((item) => lineOf(item, chains, heights));
  }

  #block({ chain, phase, data }: Extract<StreamEvent, { type: "block" }>, at: Date): void {
    const { height, hash, upstream, tx_count: transactions, size_bytes: bytes } = data;
    const parts = [
      ...(transactions === null ? [] : [`${transactions} transaction${transactions === 1 ? "" : "s"}`]),
      ...(bytes === null ? [] : [`${bytes} bytes`]),
    ];
    if (phase === "announced" || this.#find(chain, hash) === undefined)
      this.#add(at, { chain, height, hash, text: `announced by ${upstream}`, style: "plain" });
    if (phase === "validated") this.#change(chain, hash, { text: [...parts, "validated"].join(", "), style: "good" });
  }

  #find(chain: Chain, hash: string): Item | undefined {
    return this.#items.findLast((item) => item.hash === hash && item.chain === chain);
  }

  #change(chain: Chain, hash: string, to: Pick<Item, "text" | "style">): void {
    const item = this.#find(chain, hash);
    if (item !== undefined) Object.assign(item, to);
  }

  #add(at: Date, item: Omit<Item, "time">): void {
    this.#items.push({ ...item, time: at.toTimeString().slice(0, 8) });
    const alike = this.#items.filter(({ chain }) => chain === item.chain);
    const oldest = alike[0];
    if (alike.length > KEPT && oldest !== undefined) this.#items.splice(this.#items.indexOf(oldest), 1);
  }
}

function lineOf({ time, chain, height, hash, text, style }: Item, chains: number, heights: number): Line {
  const start: Segment[] = [{ text: `${time} `, style: "dim" }];
  if (chain === null) return [...start, { text, style }];
  start.push({ text: `${chain.padEnd(chains)} `, style: "plain" });
  if (height !== null) start.push({ text: `${String(height).padStart(heights)} `, style: "plain" });
  if (hash !== null) start.push({ text: `${tail(hash)} `, style: "dim" });
  return [...start, { text, style }];
}

function tail(hash: string): string {
  return hash.length <= HASH_LETTERS ? hash : `…${hash.slice(-HASH_LETTERS)}`;
}
