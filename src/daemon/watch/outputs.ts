/**
 * Outputs of watched scripts, from the moment they are seen until their spend is final. The set of outpoints to look for in
 * bodies is made of them.
 */
import type { Movement } from "../../shared/body.ts";
import type { UnspentPage, WatchBlock, WatchedOutput } from "./types.ts";

interface Output extends WatchedOutput {
  created: WatchBlock | null;
  spent: WatchBlock | null;
  spender: string | null;
  /** Counts up; pages go by it. */
  readonly addition: number;
}

export class Outputs {
  readonly #max: number;
  readonly #outputs = new Map<string, Output>();
  readonly #byItem = new Map<string, Set<Output>>();
  /** Outputs that a block which is not final creates or spends. */
  readonly #byBlock = new Map<string, { readonly height: number; readonly outputs: Set<Output> }>();
  /** In no block: these make room, the oldest first. */
  readonly #loose = new Set<Output>();
  readonly #scripts = new Map<string, string>();
  #additions = 0;
  #outpoints: ReadonlyMap<string, string> | null = null;

  constructor(max: number) {
    this.#max = max;
  }

  /** Outpoint → script, as it is at each moment. */
  get live(): ReadonlyMap<string, string> {
    return this.#scripts;
  }

  /** The same as it is now: another map after each change. */
  get outpoints(): ReadonlyMap<string, string> {
    this.#outpoints ??= new Map(this.#scripts);
    return this.#outpoints;
  }

  /** What a movement does to outputs; `block` is null for a transaction in none. False where there is no room for a new output. */
  apply(movement: Movement, block: WatchBlock | null, finalHeight: number): boolean {
    if (movement.kind === "created" && movement.output !== null) return this.#create(movement, block, finalHeight);
    if (movement.kind === "spent" && movement.outpoint !== null) this.#spend(movement, block, finalHeight);
    return true;
  }

  /** The block left the best chain. */
  reverted(hash: string): void {
    for (const output of this.#byBlock.get(hash)?.outputs ?? []) {
      if (output.spent?.hash === hash) output.spent = null;
      if (output.created?.hash === hash) {
        output.created = null;
        this.#loose.add(output);
      }
    }
    this.#byBlock.delete(hash);
  }

  /** Blocks up to `height` are final: what they spend is forgotten. */
  final(height: number): void {
    for (const [hash, block] of this.#byBlock) {
      if (block.height > height) continue;
      for (const output of block.outputs) if (output.spent?.hash === hash) this.#delete(output);
      this.#byBlock.delete(hash);
    }
  }

  /** Forgets the outputs of items that nobody watches any more. */
  keepOnly(isWatched: (item: string) => boolean): void {
    for (const [item, outputs] of this.#byItem)
      if (!isWatched(item)) for (const output of outputs) this.#delete(output);
  }

  /** Outputs of the item that are in a block of the best chain and that none spends, in the order in which they were first seen. */
  unspent(item: string, { limit, after }: { readonly limit: number; readonly after: number }): UnspentPage {
    const rest = [...(this.#byItem.get(item) ?? [])].filter(
      ({ created, spent, addition }) => addition > after && created !== null && spent === null,
    );
    const page = rest.slice(0, limit);
    return { outputs: page.map(plain), nextAfter: rest.length > limit ? (page.at(-1)?.addition ?? null) : null };
  }

  save(): WatchedOutput[] {
    return [...this.#outputs.values()].map(plain);
  }

  /** Takes back what `save` gave. */
  load(outputs: readonly WatchedOutput[], finalHeight: number): void {
    for (const saved of outputs) {
      const output = this.#insert({ ...saved });
      for (const block of [output.created, output.spent]) {
        if (block !== null && block.height > finalHeight) this.#index(output, block);
      }
    }
  }

  #create(movement: Movement, block: WatchBlock | null, finalHeight: number): boolean {
    const { txid, output: index, item, value } = movement;
    const outpoint = `${txid}:${index}`;
    const output =
      this.#outputs.get(outpoint) ??
      (this.#makeRoom()
        ? this.#insert({ outpoint, item, txid, output: index ?? 0, value, created: null, spent: null, spender: null })
        : null);
    if (output === null) return false;
    if (block === null) return true;
    output.created = block;
    this.#loose.delete(output);
    if (block.height > finalHeight) this.#index(output, block);
    return true;
  }

  #spend(movement: Movement, block: WatchBlock | null, finalHeight: number): void {
    const output = this.#outputs.get(movement.outpoint ?? "");
    // one spent in a block already: the other spend can only come by another branch
    if (output === undefined || (block === null && output.spent !== null)) return;
    output.spender = movement.txid;
    if (block === null) return;
    output.spent = block;
    if (block.height > finalHeight) this.#index(output, block);
    else this.#delete(output);
  }

  #insert(output: WatchedOutput): Output {
    const kept: Output = { ...output, addition: ++this.#additions };
    this.#outputs.set(kept.outpoint, kept);
    this.#scripts.set(kept.outpoint, kept.item);
    const ofItem = this.#byItem.get(kept.item);
    if (ofItem === undefined) this.#byItem.set(kept.item, new Set([kept]));
    else ofItem.add(kept);
    if (kept.created === null) this.#loose.add(kept);
    this.#outpoints = null;
    return kept;
  }

  #index(output: Output, { hash, height }: WatchBlock): void {
    const block = this.#byBlock.get(hash);
    if (block === undefined) this.#byBlock.set(hash, { height, outputs: new Set([output]) });
    else block.outputs.add(output);
  }

  #makeRoom(): boolean {
    if (this.#outputs.size < this.#max) return true;
    for (const output of this.#loose) {
      if (output.spent !== null) continue;
      this.#delete(output);
      return true;
    }
    return false;
  }

  #delete(output: Output): void {
    this.#outputs.delete(output.outpoint);
    this.#scripts.delete(output.outpoint);
    this.#loose.delete(output);
    const ofItem = this.#byItem.get(output.item);
    ofItem?.delete(output);
    if (ofItem?.size === 0) this.#byItem.delete(output.item);
    for (const block of [output.created, output.spent]) {
      if (block !== null) this.#byBlock.get(block.hash)?.outputs.delete(output);
    }
    this.#outpoints = null;
  }
}

function plain({ outpoint, item, txid, output, value, created, spent, spender }: Output): WatchedOutput {
  return { outpoint, item, txid, output, value, created, spent, spender };
}
