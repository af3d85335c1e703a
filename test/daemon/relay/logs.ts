/** A chain whose head upstreams choose and whose blocks have logs, and a client that holds what it is told of both. */
import assert from "node:assert/strict";
import type { Block } from "../../../src/shared/block.ts";
import type { BlockLog, BodyReading } from "../../../src/shared/body.ts";
import {
  ChainIngest,
  EventLog,
  type Filter,
  type IngestOptions,
  type ProvedFacts,
  resume,
  type Resumed,
  type StreamDraft,
  type StreamEvent,
  type TreeNode,
} from "../../../src/daemon/relay/index.ts";
import { FACTS, withFacts } from "./blocks.ts";
import { ChainClient } from "./client.ts";

export const WITH_LOGS: Filter = { chains: null, types: ["block", "reorg", "finalized", "log"], phase: null };

/** One, two or none, told by the block's hash alone. */
export function logsOf({ hash }: Pick<Block, "hash">): readonly BlockLog[] {
  const count = Number.parseInt(hash.slice(-2), 16) % 3;
  return Array.from({ length: count }, (_, index) => ({
    address: `0x${String(index).repeat(40)}`,
    topics: [`0x${hash}`],
    data: "0x",
    transaction_hash: `0x${hash}`,
    transaction_index: 0,
    log_index: index,
  }));
}

export function factsOf(block: Pick<Block, "hash">): ProvedFacts {
  const reading: BodyReading = { logs: logsOf(block), movements: [], digest: NO_DIGEST };
  return { ...FACTS, reading };
}

const NO_DIGEST: BodyReading["digest"] = {
  family: "evm",
  gasUsed: 0,
  gasLimit: 0,
  baseFeeWei: null,
  tipsWei: [],
  blobs: 0,
  excessBlobGas: null,
  contracts: [],
};

/** One run of a daemon that follows one such chain. */
export class HeadsRun {
  readonly log: EventLog;
  readonly ingest: ChainIngest;
  readonly ingests: readonly ChainIngest[];
  readonly events: StreamEvent[] = [];
  readonly tips: string[] = [];
  readonly reverted: string[] = [];
  onEvent: (event: StreamEvent) => void = () => {};

  constructor(id: number, root: Block, options: Partial<IngestOptions> = {}, logEvents = 10_000) {
    this.log = new EventLog({ maxEvents: logEvents }, { run: new Uint8Array(8).fill(id) });
    const usual = { chain: root.chain, network: "devnet", finalityDepth: 1_000, finality: "told" } as const;
    this.ingest = new ChainIngest(
      { ...usual, followsWork: false, tellsLogs: true, ...options },
      {
        publish: (draft) => this.#publish(draft),
        withFacts,
        onTip: ({ block }) => void this.tips.push(block.hash),
        onReverted: (nodes) => void this.reverted.push(...nodes.map(({ block }) => block.hash)),
      },
      { block: root, work: 1n },
    );
    this.ingests = [this.ingest];
  }

  #publish(draft: StreamDraft): void {
    const event = this.log.append(draft);
    this.events.push(event);
    this.onEvent(event);
  }

  accept(block: Block): string {
    return this.ingest.accept({ block, work: 1n, upstream: "eth-1", receivedAt: block.height });
  }

  node(block: Pick<Block, "hash">): TreeNode {
    return this.ingest.tree.get(block.hash) ?? assert.fail(`${block.hash} is not in the tree`);
  }

  prefer(block: Pick<Block, "hash">): boolean {
    return this.ingest.prefer(this.node(block), 0);
  }

  prove(...blocks: readonly Pick<Block, "hash">[]): void {
    for (const block of blocks) this.ingest.validated(block.hash, factsOf(block));
  }

  resume(cursor: string | null, filter: Filter = WITH_LOGS): Resumed {
    return resume(cursor, filter, { maxEvents: 1_000 }, this);
  }
}

/** "announced 101", "logs 101", "validated 101", "removed 101", "reorg -1 +2" … */
export function told(events: readonly (StreamDraft | StreamEvent)[]): string[] {
  return events.map((event) => {
    if (event.type === "block") return `${event.phase} ${event.data.height}`;
    if (event.type === "log") return `${event.data.removed ? "removed" : "logs"} ${event.data.height}`;
    if (event.type === "reorg") return `reorg -${event.data.reverted.length} +${event.data.applied.length}`;
    if (event.type === "gap") return `gap ${event.data.reason} ${event.data.to?.height ?? null}`;
    return event.type === "finalized" ? `finalized ${event.data.height}` : event.type;
  });
}

/** Holds the logs of the blocks it holds; fails where logs come twice, are taken back twice, or stay when their block goes. */
export class LogClient {
  readonly chain = new ChainClient();
  readonly logs = new Map<string, number>();

  take(event: StreamDraft | StreamEvent): void {
    if (event.type === "log") this.#logs(event.data);
    else this.chain.take(event);
    if (event.type === "reorg") {
      for (const { hash } of event.data.reverted)
        assert.ok(!this.logs.has(hash), `logs of ${hash} stayed when it was reverted`);
    }
    // What a gap takes from the client, its logs go with it.
    if (event.type === "gap") {
      const held = new Set(this.chain.hashes());
      for (const hash of this.logs.keys()) if (!held.has(hash)) this.logs.delete(hash);
    }
  }

  #logs({ block_hash: hash, height, removed, logs }: (StreamDraft & { type: "log" })["data"]): void {
    assert.ok(this.chain.hashes().includes(hash), "logs are of a block that was told");
    assert.ok(logs.length > 0);
    if (removed) {
      assert.ok(this.logs.delete(hash), `logs of ${hash} were taken back that were not there`);
      this.chain.unproved(height);
    } else {
      assert.ok(!this.logs.has(hash), `logs of ${hash} came twice`);
      this.logs.set(hash, logs.length);
    }
  }
}
