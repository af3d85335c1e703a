/** Events that are larger than all that may wait for a subscriber. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventLog, Hub, type StreamDraft, type StreamEvent } from "../../../src/daemon/relay/index.ts";
import { FakeClock } from "../../fakes/clock.ts";

const clock = new FakeClock();
const drops: string[] = [];
const hub = (): Hub =>
  new Hub(
    { outboxBytes: 10_000 },
    { clock, entropy: new Uint8Array(32), defer: queueMicrotask, onDrop: ({ reason }) => void drops.push(reason) },
  );

function large(log: EventLog, height: number): StreamEvent {
  const words = {
    address: `0x${"11".repeat(20)}`,
    topics: [],
    transaction_hash: "",
    transaction_index: 0,
    log_index: 0,
  };
  const data = { block_hash: "0x01", height, removed: false, logs: [{ ...words, data: `0x${"00".repeat(20_000)}` }] };
  const draft: StreamDraft = { chain: "ethereum", network: "m", receivedAt: 0, type: "log", parentHash: "0x", data };
  return log.append(draft);
}

function subscriber(id: string, tier: "FREE" | "ENTERPRISE", waiting: () => number) {
  const got: number[] = [];
  const filter = { chains: null, types: ["log"], phase: null } as const;
  const write = (bytes: Uint8Array): void => void got.push(bytes.length);
  return { got, id, tier, filter, write, bufferedBytes: waiting, close: () => {} };
}

const hello = {
  type: "hello",
  cursor: "",
  data: { tier: "FREE", network: "m", recovered: true, version: "" },
} as const;

for (const tier of ["FREE", "ENTERPRISE"] as const) {
  test(`${tier}: who keeps up gets them, live and replayed; who does not is closed`, async () => {
    drops.length = 0;
    const log = new EventLog({}, { run: new Uint8Array(8) });
    const relay = hub();
    const quick = subscriber("quick", tier, () => 0);
    let waiting = 0;
    const slow = subscriber("slow", tier, () => waiting);
    const late = subscriber("late", tier, () => 0);
    relay.add(quick, { hello, backlog: [] });
    relay.add(slow, { hello, backlog: [] });
    const events = [large(log, 1), large(log, 2)];
    for (const event of events) {
      relay.publish(event);
      relay.flush();
      await clock.advanceAsync(5_000);
      waiting += 40_000;
    }
    relay.add(late, { hello, backlog: events });
    await clock.advanceAsync(5_000);
    const whole = (sizes: readonly number[]): number => sizes.filter((size) => size > 40_000).length;
    assert.deepEqual([whole(quick.got), whole(late.got), whole(slow.got)], [2, 2, 1]);
    assert.deepEqual(drops, ["slow_consumer"]);
    relay.closeAll(4000, "over");
  });
}
