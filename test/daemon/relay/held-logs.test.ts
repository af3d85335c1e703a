/** Logs that may have to be taken back, where finality is told no more. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ChainIngest, type StreamDraft } from "../../../src/daemon/relay/index.ts";
import type { BodyReading } from "../../../src/shared/body.ts";
import { chainOn, genesis, withFacts } from "./blocks.ts";

const LOG = { address: "0x1", topics: [], data: "0x", transaction_hash: "0x", transaction_index: 0, log_index: 0 };
const READING = {
  logs: Array.from({ length: 1_000 }, () => LOG),
  movements: [],
  digest: null,
} as unknown as BodyReading;

test("are kept up to a bound; beyond it a reorg tells of a gap, and takes the others back", () => {
  const events: StreamDraft[] = [];
  const root = genesis("ethereum");
  const ingest = new ChainIngest(
    { chain: "ethereum", network: "m", finalityDepth: 5, finality: "told", followsWork: false, tellsLogs: true },
    { publish: (event) => void events.push(event), withFacts },
    { block: { ...root, sizeBytes: 1 }, work: 0n },
  );
  ingest.live(0);
  ingest.finalizedUpTo(root.height);
  const blocks = chainOn(root, 160);
  for (const block of blocks) {
    ingest.accept({ block, work: 0n, upstream: "a", receivedAt: 0 });
    ingest.validated(block.hash, { txCount: 1, sizeBytes: 1, level: "full", reading: READING });
  }
  events.length = 0;
  assert.ok(ingest.prefer(ingest.tree.at(root.height) ?? assert.fail(), 0));
  const count = (type: string): number => events.filter((event) => event.type === type).length;
  assert.deepEqual([count("log"), count("gap"), count("reorg")], [150, 10, 1]);
});
