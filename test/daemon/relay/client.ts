/** What a careful client does with a stream: it rebuilds each chain from the events alone, and fails at once where a promise is broken. */
import assert from "node:assert/strict";
import type { RefData } from "../../../src/shared/events.ts";
import { GAP, type StreamDraft, type StreamEvent } from "../../../src/daemon/relay/index.ts";

interface Held extends RefData {
  proved: boolean;
}

export class ChainClient {
  /** Best chain as told, oldest first, from the first block that was told. */
  blocks: Held[] = [];
  finalized = -1;
  gaps: string[] = [];
  /** Blocks that the last reorg promised and that are still to come. */
  #applied: RefData[] = [];
  /** The next block needs no parent: the stream begins, or a gap stands before it. */
  #rebase = true;

  /** Where the stream stands after a reorg that undid all that was told, or a gap that leaves nothing of it. */
  #anchor: RefData | undefined;

  get tip(): RefData | undefined {
    return this.blocks.at(-1) ?? this.#anchor;
  }

  hashes(): string[] {
    return this.blocks.map(({ hash }) => hash);
  }

  /** Its connection was lost: the way on from here may be another than was told before. */
  reconnected(): void {
    this.#applied = [];
  }

  /** Logs were taken back: the proofs of their block and of those above are told again, should these count again. */
  unproved(from: number): void {
    for (const block of this.blocks) if (block.height >= from) block.proved = false;
  }

  take(event: StreamDraft | StreamEvent): void {
    switch (event.type) {
      case "block":
        return event.phase === "announced" ? this.#announced(event.data) : this.#validated(event.data);
      case "reorg":
        return this.#reorg(event.data);
      case "finalized":
        return this.#finalized(event.data);
      case "gap":
        return this.#gap(event.data);
    }
  }

  #announced({ hash, height, parent_hash }: RefData & { readonly parent_hash: string }): void {
    if (this.#rebase) {
      this.#dropFrom(height);
      if (this.tip !== undefined && (this.tip.hash !== parent_hash || this.tip.height !== height - 1)) this.blocks = [];
      this.#rebase = false;
    } else if (this.tip !== undefined) {
      assert.equal(parent_hash, this.tip.hash, "the parent of an announced block is the client's tip");
      assert.equal(height, this.tip.height + 1);
    }
    const promised = this.#applied.shift();
    if (promised !== undefined) assert.equal(hash, promised.hash, "applied blocks follow their reorg in order");
    this.#anchor = undefined;
    assert.ok(!this.hashes().includes(hash), "no block twice");
    this.blocks.push({ hash, height, proved: false });
  }

  #validated({ hash }: RefData): void {
    const index = this.blocks.findIndex((block) => block.hash === hash);
    const block = this.blocks[index];
    assert.ok(block, "a validated block was announced on the stream, and is on the best chain");
    assert.ok(!block.proved, "no proof twice");
    assert.ok(index === 0 || this.blocks[index - 1]?.proved, "a proof follows that of the parent");
    block.proved = true;
  }

  #reorg({ depth, common_ancestor, reverted, applied }: (StreamDraft & { type: "reorg" })["data"]): void {
    assert.equal(depth, reverted.length);
    assert.deepEqual(this.#applied, [], "no reorg before the last one is told in full");
    assert.ok(common_ancestor.height >= this.finalized, "what is final is never undone");
    for (const { hash, height } of reverted) {
      const undone = this.blocks.pop();
      if (undone !== undefined)
        assert.deepEqual({ hash, height }, { hash: undone.hash, height: undone.height }, "reverted newest first");
    }
    if (this.blocks.length === 0) this.#anchor = common_ancestor;
    assert.equal(this.tip?.hash, common_ancestor.hash);
    this.#applied = [...applied];
    this.#rebase = false;
  }

  #finalized({ hash, height }: RefData): void {
    assert.ok(height > this.finalized, "finality goes up");
    this.finalized = height;
    const told = this.blocks.find((block) => block.height === height);
    if (told !== undefined) assert.equal(told.hash, hash);
    else assert.ok(height < (this.blocks[0]?.height ?? 0), "a final block was told before, or lies before the stream");
  }

  #gap({ from, to, reason }: (StreamDraft & { type: "gap" })["data"]): void {
    this.gaps.push(reason);
    if (reason === GAP.BODY_UNAVAILABLE) {
      assert.ok(to);
      for (const block of this.blocks) if (block.height <= to.height) block.proved = true;
      return;
    }
    this.#applied = [];
    if (from !== null) {
      this.#dropFrom(from.height + 1);
      this.#anchor = from;
    }
    for (const block of this.blocks) block.proved = true;
    this.finalized = Math.min(this.finalized, from?.height ?? -1);
    this.#rebase = true;
  }

  #dropFrom(height: number): void {
    this.#anchor = undefined;
    while ((this.blocks.at(-1)?.height ?? -1) >= height) this.blocks.pop();
  }
}
