import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { PendingEvent, SprintEvent } from "../../../src/shared/events.ts";
import { seededRandom } from "../../../src/shared/clock.ts";
import { TIER, TIERS, type Tier } from "../../../src/shared/tier.ts";
import {
  type Drop,
  EventLog,
  type Filter,
  Hub,
  type HubModules,
  type HubOptions,
  type StreamEvent,
} from "../../../src/daemon/relay/index.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { chainOn, genesis } from "./blocks.ts";
import { FakeSubscriber } from "./subscriber.ts";

const ENTROPY: Uint8Array = new Uint8Array(32).map((_, index) => index * 7 + 1);

/** A hub on a clock that stands still, with the end of the turn in the test's hands. */
function setUp(options: Partial<HubOptions> = {}, entropy = ENTROPY, decoderOf?: HubModules["decoderOf"]) {
  const clock = new FakeClock();
  const deferred: (() => void)[] = [];
  const drops: Drop[] = [];
  const slow: string[] = [];
  const relayed: [Tier, number][] = [];
  const hub = new Hub(options, {
    clock,
    entropy,
    defer: (fn) => deferred.push(fn),
    ...(decoderOf === undefined ? {} : { decoderOf }),
    onDrop: (drop) => drops.push(drop),
    onSlow: ({ id }) => slow.push(id),
    onRelayed: (tier, relayMs) => relayed.push([tier, relayMs]),
  });
  const log = new EventLog({}, { run: new Uint8Array(8).fill(9) });
  let blocks = [genesis()];
  const next = (phase: "announced" | "validated" = "announced"): StreamEvent => {
    blocks = chainOn(blocks[0] as (typeof blocks)[0], 1);
    const [{ hash, height, parentHash }] = blocks as [(typeof blocks)[0]];
    return log.append({
      chain: "bitcoin",
      network: "regtest",
      receivedAt: clock.now(),
      type: "block",
      phase,
      data: {
        hash,
        height,
        parent_hash: parentHash,
        timestamp: "2025-09-05T18:55:07Z",
        tx_count: null,
        size_bytes: null,
        upstream: "btc-ü",
        validation: "header",
      },
    });
  };
  const endTurn = () => {
    for (const fn of deferred.splice(0)) fn();
  };
  const publish = (count = 1): StreamEvent[] => {
    const events = Array.from({ length: count }, () => next());
    for (const event of events) hub.publish(event);
    return events;
  };
  const join = (
    id: string,
    tier: Tier = "ENTERPRISE",
    filter: Partial<Filter> = {},
    backlog: readonly StreamEvent[] = [],
  ): FakeSubscriber => {
    const subscriber = new FakeSubscriber(id, tier, () => clock.now(), filter);
    const data = { tier, network: "regtest", recovered: backlog.length > 0, version: "0" };
    hub.add(subscriber, { hello: { type: "hello", cursor: `hello-${id}`, data }, backlog });
    return subscriber;
  };
  return { clock, hub, log, next, publish, endTurn, join, drops, slow, relayed };
}

function cursors(messages: readonly SprintEvent[]): string[] {
  return messages.filter(({ type }) => type !== "hello" && type !== "goodbye").map(({ cursor }) => cursor);
}

describe("Hub, at once", () => {
  it("greets, then hands each event over as one frame of the contract's JSON", () => {
    const { clock, join, publish, endTurn } = setUp();
    const subscriber = join("a");
    const [event] = publish();
    clock.advance(0.4216);
    endTurn();
    const [hello, message] = subscriber.messages();
    assert.equal(hello?.type, "hello");
    assert.ok(event?.type === "block");
    assert.deepEqual(message, {
      type: "block",
      chain: "bitcoin",
      network: "regtest",
      phase: "announced",
      cursor: event.cursor,
      data: { ...event.data, relay_time_ms: 0.422 },
    });
  });

  it("joins what one turn publishes into one write, shared by all who hear the same", () => {
    const { join, publish, endTurn, hub } = setUp();
    const [first, second] = [join("a"), join("b")];
    const events = publish(20);
    assert.equal(first.writes.length, 1, "only the greeting before the turn ends");
    endTurn();
    assert.equal(first.writes.length, 2);
    assert.equal(first.writes[1]?.bytes, second.writes[1]?.bytes);
    assert.deepEqual(
      cursors(first.messages()),
      events.map(({ cursor }) => cursor),
    );
    assert.deepEqual([hub.stats().deliveries, hub.stats().writes], [40, 2]);
  });

  it("does not hold events back beyond its bounds", () => {
    const { clock, join, publish, endTurn } = setUp({ joinEvents: 5 });
    const subscriber = join("a");
    publish(6);
    assert.equal(cursors(subscriber.messages()).length, 5);
    publish();
    clock.advance(1);
    publish();
    assert.equal(cursors(subscriber.messages()).length, 8, "a turn that takes long");
    endTurn();
    assert.equal(subscriber.writes.length, 3);
  });

  it("stamps the true relay time into a copy, and never touches bytes that were handed over", () => {
    const { clock, join, publish, endTurn, next, hub } = setUp();
    const readers = Array.from({ length: 3 }, (_, index) => join(`r${index}`));
    publish();
    clock.advance(3);
    endTurn();
    const before = Buffer.from(readers[0]?.writes[1]?.bytes ?? []);
    const late = next();
    clock.advance(123_456_789.5);
    hub.publish(late);
    endTurn();
    const times = readers[0]
      ?.messages()
      .flatMap((message) => (message.type === "block" ? [message.data.relay_time_ms] : []));
    assert.deepEqual(times, [3, 99_999_999.999]);
    assert.deepEqual(Buffer.from(readers[0]?.writes[1]?.bytes ?? []), before);
  });

  it("reports the relay time of live announcements, not of proofs or replays", () => {
    const { clock, join, publish, endTurn, next, hub, relayed } = setUp();
    const [old] = [next()];
    clock.advance(50);
    join("a", "ENTERPRISE", {}, old === undefined ? [] : [old]);
    publish();
    clock.advance(2);
    endTurn();
    hub.publish(next("validated"));
    endTurn();
    assert.deepEqual(relayed, [["ENTERPRISE", 2]]);
  });

  it("hands over in the order of the tiers", () => {
    const { clock, publish, endTurn, hub } = setUp();
    const order: string[] = [];
    for (const tier of TIERS) {
      const subscriber = new FakeSubscriber(tier, tier);
      subscriber.write = (bytes) => {
        if (bytes.length > 200) order.push(tier);
      };
      hub.add(subscriber, {
        hello: { type: "hello", cursor: "", data: { tier, network: "n", recovered: false, version: "" } },
        backlog: [],
      });
    }
    publish();
    endTurn();
    assert.deepEqual(order, ["ENTERPRISE"]);
    clock.advance(200);
    assert.deepEqual(order, ["ENTERPRISE", "BUSINESS", "FREE"]);
  });

  it("evaluates filters, and tells a gap to everybody", () => {
    const { join, next, hub, log, endTurn } = setUp();
    const proofs = join("proofs", "ENTERPRISE", { phase: "validated" });
    const reorgs = join("reorgs", "ENTERPRISE", { types: ["reorg"] });
    const other = join("other", "ENTERPRISE", { chains: ["dogecoin"] });
    const announced = next();
    const validated = next("validated");
    const gap = log.append({
      chain: "bitcoin",
      network: "regtest",
      receivedAt: 0,
      type: "gap",
      data: { from: null, to: null, reason: "backlog_too_large" },
    });
    for (const event of [announced, validated, gap]) hub.publish(event);
    endTurn();
    assert.deepEqual(cursors(proofs.messages()), [validated.cursor, gap.cursor]);
    assert.deepEqual(cursors(reorgs.messages()), [gap.cursor]);
    assert.deepEqual(cursors(other.messages()), []);
  });
});

describe("Hub, logs and what passes", () => {
  const A = `0x${"a".repeat(40)}`;
  const B = `0x${"b".repeat(40)}`;
  const OF = { chain: "ethereum", network: "devnet", receivedAt: 0 } as const;
  const entry = (address: string, log_index: number) => ({
    address,
    topics: [`0x${"1".repeat(64)}`],
    data: "0x",
    transaction_hash: `0x${"2".repeat(64)}`,
    transaction_index: 0,
    log_index,
  });
  const logsOf = (...addresses: string[]) =>
    ({
      ...OF,
      type: "log",
      parentHash: "0x",
      data: { block_hash: "0x1", height: 5, removed: false, logs: addresses.map(entry) },
    }) as const;

  it("encodes a block's logs once for each filter, decoded by the fragments that came with it", () => {
    const asked: (readonly string[])[] = [];
    let decoded = 0;
    const decoderOf = (abi: readonly string[]) => {
      asked.push(abi);
      return ({ log_index }: { readonly log_index: number }) => {
        decoded++;
        return log_index === 0 ? { event: `${abi[0]}`, args: {} } : null;
      };
    };
    const { hub, log, join, endTurn } = setUp({}, ENTROPY, decoderOf);
    const types = ["log"] as const;
    const abi = { addresses: [A], topics: [], abi: ["Transfer()"] };
    const readers = [0, 1, 2].map((at) => join(`decoded-${at}`, "ENTERPRISE", { types, logs: abi }));
    const plain = join("plain", "ENTERPRISE", { types, logs: { addresses: [B], topics: [] } });
    const all = [join("all-1", "ENTERPRISE", { types }), join("all-2", "ENTERPRISE", { types })];
    const deaf = join("deaf");
    hub.publish(log.append(logsOf(A, B, A)));
    endTurn();
    assert.deepEqual([asked, decoded], [[["Transfer()"]], 2]);
    const heard = ({ writes }: FakeSubscriber) => writes[1]?.bytes;
    assert.equal(new Set(readers.map(heard)).size, 1, "the same bytes for all of one filter");
    assert.equal(heard(all[0] as FakeSubscriber), heard(all[1] as FakeSubscriber));
    const shown = (subscriber: FakeSubscriber) =>
      subscriber
        .messages()
        .flatMap((message) =>
          message.type === "log"
            ? message.data.logs.map(({ log_index, decoded: as }) => [log_index, as?.event ?? as])
            : [],
        );
    assert.deepEqual(shown(readers[0] as FakeSubscriber), [
      [0, "Transfer()"],
      [2, null],
    ]);
    assert.deepEqual(shown(plain), [[1, undefined]]);
    assert.deepEqual(shown(all[0] as FakeSubscriber).length, 3);
    assert.deepEqual(deaf.messages().length, 1, "only the greeting");
    const frame = all[0]?.messages()[1] ?? assert.fail();
    assert.deepEqual(Object.keys(frame), ["type", "chain", "network", "cursor", "data"], "nothing that is ours alone");
  });

  it("gives what passes the cursor of what went before, numbers nothing by it, and never replays it", () => {
    const { hub, log, next, join, endTurn } = setUp();
    const first = next();
    const pending = {
      ...OF,
      type: "pending_tx",
      data: { transactions: [{ txid: "0x1", upstream: "eth-1" }] },
    } as const;
    const reader = join("reader", "ENTERPRISE", { types: ["block", "pending_tx"] });
    for (const event of [log.passing(pending), log.passing(pending)]) {
      assert.deepEqual([event.cursor, event.seq], [first.cursor, 1]);
      hub.publish(event);
    }
    const second = next();
    hub.publish(second);
    const third = log.passing(pending);
    assert.equal(third.cursor, second.cursor);
    endTurn();
    assert.deepEqual(cursors(reader.messages()), [first.cursor, first.cursor, second.cursor]);
    assert.deepEqual([log.lastSeq, log.since(1)], [2, [second]]);
  });

  it("cuts a batch of pending transactions to what a subscriber asked for", () => {
    const { hub, log, join, endTurn } = setUp();
    const evm = (from: string) => ({
      from,
      to: null,
      value_wei: "1",
      nonce: 0,
      gas_limit: 1,
      max_fee_wei: "1",
      max_tip_wei: "1",
      selector: null,
      blobs: 0,
    });
    const transactions = [A, B, A].map((from, at) => ({ txid: `0x${at}`, upstream: "eth-1", evm: evm(from) }));
    const pending = { addresses: [A], selectors: [], minValue: null };
    const some = join("some", "ENTERPRISE", { types: ["pending_tx"], pending });
    const none = join("none", "ENTERPRISE", { types: ["pending_tx"], pending: { ...pending, addresses: ["0xc"] } });
    hub.publish(log.passing({ ...OF, type: "pending_tx", data: { transactions } }));
    endTurn();
    const [, message] = some.messages();
    assert.ok(message?.type === "pending_tx");
    assert.deepEqual(
      message.data.transactions.map(({ txid }) => txid),
      ["0x0", "0x2"],
    );
    assert.equal(none.messages().length, 1);
  });
});

describe("Hub, pending transactions beside blocks", () => {
  const KEYS = ["a", "b", "c", "d"];

  /** Writing to one of them takes as long as a slice may. */
  function crowd() {
    const scene = setUp();
    const { hub, log, clock } = scene;
    const readers = KEYS.map((key) => {
      const pending = { addresses: [key], selectors: [], minValue: null };
      const dear = new FakeSubscriber(key, "ENTERPRISE", () => 0, { types: ["block", "pending_tx"], pending });
      const hello = { tier: "ENTERPRISE", network: "regtest", recovered: false, version: "1" } as const;
      hub.add(dear, { hello: { type: "hello", cursor: log.cursor(), data: hello }, backlog: [] });
      const { write } = FakeSubscriber.prototype;
      dear.write = (bytes) => {
        write.call(dear, bytes);
        clock.advance(0.5);
      };
      return dear;
    });
    const evm = { to: null, value_wei: "1", nonce: 0, gas_limit: 1, max_fee_wei: "1", max_tip_wei: "1" };
    const tell = (name: string): void => {
      const transactions = KEYS.map((from) => ({
        txid: `${name}${from}`,
        upstream: "eth-1",
        evm: { from, ...evm, selector: null, blobs: 0 },
      }));
      const of = { chain: "ethereum", network: "regtest", receivedAt: 0 };
      hub.publish(log.passing({ ...of, type: "pending_tx", data: { transactions } }));
    };
    const heard = ({ type, ...rest }: SprintEvent): string =>
      type === "pending_tx" ? (rest as PendingEvent).data.transactions.map(({ txid }) => txid).join() : type;
    const told = (): string[][] => readers.map((reader) => reader.messages().slice(1).map(heard));
    return { ...scene, readers, tell, told };
  }

  it("writes them a slice at a time, those who wait longest first", () => {
    const { tell, told, endTurn, clock } = crowd();
    tell("1");
    endTurn();
    assert.deepEqual(told(), [["1a"], [], [], []]);
    tell("2");
    for (let turn = 0; turn < 10; turn++) clock.advance(1);
    assert.deepEqual(told(), [
      ["1a", "2a"],
      ["1b", "2b"],
      ["1c", "2c"],
      ["1d", "2d"],
    ]);
    assert.equal(clock.pending, 0);
  });

  it("gives a block its turn at once, in one write with what was told before it", () => {
    const { tell, told, endTurn, publish, readers } = crowd();
    tell("1");
    endTurn();
    publish();
    endTurn();
    assert.deepEqual(told(), [
      ["1a", "block"],
      ["1b", "block"],
      ["1c", "block"],
      ["1d", "block"],
    ]);
    assert.deepEqual(
      readers.map(({ writes }) => writes.length),
      [3, 2, 2, 2],
    );
  });

  it("forgets who left, and tells who comes nothing from before", () => {
    const { tell, told, endTurn, hub, join, clock } = crowd();
    tell("1");
    endTurn();
    hub.remove("b");
    const pending = { addresses: ["d"], selectors: [], minValue: null };
    const late = join("late", "ENTERPRISE", { types: ["block", "pending_tx"], pending });
    assert.deepEqual(told(), [["1a"], [], ["1c"], ["1d"]]);
    assert.equal(late.messages().length, 1);
    tell("2");
    hub.closeAll(4000, "over");
    assert.deepEqual(told()[3], ["1d", "2d", "goodbye"]);
    for (let turn = 0; turn < 10; turn++) clock.advance(1);
    assert.equal(clock.pending, 0);
  });
});

describe("Hub, bounds", () => {
  it("closes a slow subscriber with the cursor of the last event it was given, and nobody else", () => {
    const { join, publish, endTurn, drops, slow, hub } = setUp({ outboxBytes: 4_000 });
    const reader = join("reader");
    const stalled = join("stalled");
    stalled.stalled = true;
    for (let round = 0; round < 20; round++) {
      publish();
      endTurn();
    }
    assert.equal(cursors(reader.messages()).length, 20);
    assert.equal(stalled.closed?.code, 4008);
    const messages = stalled.messages();
    const goodbye = messages.at(-1);
    assert.ok(goodbye?.type === "goodbye");
    assert.deepEqual([goodbye.data.code, goodbye.data.reason], [4008, "slow_consumer"]);
    assert.equal(goodbye.cursor, cursors(messages).at(-1));
    assert.deepEqual([drops.length, drops[0]?.cursor, slow], [1, goodbye.cursor, ["stalled"]]);
    assert.deepEqual([hub.stats().dropped, hub.stats().subscribers.ENTERPRISE], [1, 1]);
  });

  it("counts what waits, in the socket and behind it, and not what has gone", () => {
    const { clock, join, publish, endTurn, drops } = setUp({ outboxBytes: 4_000 });
    const reader = join("reader", "FREE");
    for (let round = 0; round < 20; round++) {
      publish();
      endTurn();
      clock.advance(100);
    }
    assert.deepEqual([cursors(reader.messages()).length, drops], [20, []]);
    reader.buffered = 3_500;
    publish(2);
    endTurn();
    assert.equal(reader.closed?.code, 4008, "before its turn: the two together are too much");
  });

  it("cuts a replay to what the socket may hold", () => {
    const { clock, join, next, drops } = setUp({ outboxBytes: 4_000 });
    const backlog = Array.from({ length: 50 }, () => next());
    const subscriber = join("a", "ENTERPRISE", {}, backlog);
    clock.advance(100);
    assert.deepEqual(
      cursors(subscriber.messages()),
      backlog.map(({ cursor }) => cursor),
    );
    assert.deepEqual(drops, []);
  });

  it("removes a subscriber whose socket throws", () => {
    const { join, publish, endTurn, drops } = setUp();
    join("broken").fails = true;
    const good = join("good");
    publish();
    endTurn();
    assert.equal(drops[0]?.reason, "write_failed");
    assert.equal(cursors(good.messages()).length, 1);
  });

  it("delays what is above the tier's events a second, and drops none of it", () => {
    const { clock, join, publish, endTurn } = setUp({ outboxBytes: 8 * 1024 * 1024 });
    const subscriber = join("a", "FREE");
    const events = publish(2_500);
    endTurn();
    clock.advance(10_000);
    assert.deepEqual(
      cursors(subscriber.messages()),
      events.map(({ cursor }) => cursor),
    );
    const perSecond = new Map<number, number>();
    const first = subscriber.writes[1]?.at ?? 0;
    for (const { at, bytes } of subscriber.writes.slice(1)) {
      const second = Math.floor((at - first) / 1_000);
      perSecond.set(second, (perSecond.get(second) ?? 0) + new FrameCount(bytes).frames);
    }
    assert.ok(Math.max(...perSecond.values()) <= TIER.FREE.eventsPerSecond, JSON.stringify([...perSecond]));
  });

  it("keeps a limit that is smaller than what goes out in one write", () => {
    const tiers = { ...TIER, ENTERPRISE: { pacingMs: null, eventsPerSecond: 3 } };
    const { clock, join, next, publish, endTurn, drops } = setUp({ tiers });
    const backlog = Array.from({ length: 7 }, () => next());
    const subscriber = join("a", "ENTERPRISE", {}, backlog);
    assert.equal(cursors(subscriber.messages()).length, 3, "of a replay");
    const live = publish(7);
    endTurn();
    clock.advance(2_500);
    assert.equal(cursors(subscriber.messages()).length, 7, "live ones wait behind it");
    clock.advance(3_000);
    assert.deepEqual(
      cursors(subscriber.messages()),
      [...backlog, ...live].map(({ cursor }) => cursor),
    );
    assert.deepEqual(drops, []);
  });

  it("queues live events behind a replay, and sends that in slices", () => {
    const { clock, join, next, publish, endTurn } = setUp({ sliceEvents: 10 });
    const backlog = Array.from({ length: 35 }, () => next());
    const subscriber = join("a", "ENTERPRISE", {}, backlog);
    assert.equal(cursors(subscriber.messages()).length, 10, "the first slice at once");
    const live = publish(2);
    endTurn();
    clock.advance(100);
    assert.deepEqual(
      cursors(subscriber.messages()),
      [...backlog, ...live].map(({ cursor }) => cursor),
    );
    assert.equal(subscriber.writes.length, 6, "greeting, four slices, the live ones");
  });

  it("waits with a replay for a socket that does not take it, and goes on", () => {
    const { clock, join, next, drops } = setUp({ outboxBytes: 20_000, sliceEvents: 10 });
    const backlog = Array.from({ length: 100 }, () => next());
    const subscriber = join("a", "FREE", {}, backlog);
    subscriber.stalled = true;
    clock.advance(2_000);
    assert.ok(subscriber.buffered <= 20_000);
    assert.ok(cursors(subscriber.messages()).length < 100);
    subscriber.stalled = false;
    subscriber.buffered = 0;
    clock.advance(2_000);
    assert.equal(cursors(subscriber.messages()).length, 100);
    assert.deepEqual(drops, []);
  });

  it("says goodbye to all with their own cursors", () => {
    const { join, publish, endTurn, hub } = setUp();
    const fast = join("fast");
    const paced = join("paced", "FREE");
    const [event] = publish();
    endTurn();
    hub.closeAll(4000, "shutdown");
    assert.deepEqual([fast.messages().at(-1)?.cursor, paced.messages().at(-1)?.cursor], [event?.cursor, "hello-paced"]);
    assert.deepEqual(paced.closed, { code: 4000, reason: "shutdown" });
    assert.deepEqual(hub.stats().subscribers, { FREE: 0, BUSINESS: 0, ENTERPRISE: 0 });
  });
});

describe("Hub, pacing", () => {
  it("paces a tier as it is told to, not as the table says", () => {
    const tiers = { ...TIER, FREE: { pacingMs: null, eventsPerSecond: 2 } };
    const { join, publish, endTurn, clock } = setUp({ tiers });
    const subscriber = join("a", "FREE");
    publish();
    endTurn();
    assert.equal(cursors(subscriber.messages()).length, 1, "at once");
    for (let i = 0; i < 2; i++) {
      publish();
      endTurn();
    }
    assert.equal(cursors(subscriber.messages()).length, 2, "two a second");
    clock.advance(1_000);
    assert.equal(cursors(subscriber.messages()).length, 3);
  });

  const PACED: readonly Tier[] = ["FREE", "BUSINESS"];

  it("keeps every delivery inside its tier's window", () => {
    const { clock, join, publish, endTurn } = setUp();
    const subscribers = PACED.flatMap((tier) =>
      Array.from({ length: 100 }, (_, index) => join(`${tier}${index}`, tier)),
    );
    for (let block = 0; block < 10; block++) {
      publish();
      endTurn();
      clock.advance(37.3);
    }
    clock.advance(200);
    for (const { tier, ...subscriber } of subscribers.map((one) => ({ tier: one.tier, messages: one.messages() }))) {
      const { min, max } = TIER[tier].pacingMs as { min: number; max: number };
      const times = subscriber.messages.flatMap((message) =>
        message.type === "block" ? [message.data.relay_time_ms] : [],
      );
      assert.equal(times.length, 10);
      for (const time of times) assert.ok(time >= min && time <= max, `${tier}: ${time} ms`);
    }
  });

  it("spreads a thousand clients over the window, another way for each block", () => {
    const { clock, join, publish, endTurn } = setUp();
    const subscribers = Array.from({ length: 1_000 }, (_, index) => join(`s${index}`, "FREE"));
    const orders: string[] = [];
    for (let block = 0; block < 5; block++) {
      const from = clock.now();
      publish();
      endTurn();
      clock.advance(150);
      const waits = subscribers.map(({ writes }) => Math.floor((writes.at(-1)?.at ?? 0) - from));
      const perMs = new Map<number, number>();
      for (const wait of waits) perMs.set(wait, (perMs.get(wait) ?? 0) + 1);
      const peak = Math.max(...perMs.values());
      assert.ok(peak <= 45, `${peak} of 1,000 in one millisecond; even is 21, without pacing it is 1,000`);
      orders.push(waits.join());
    }
    assert.equal(new Set(orders).size, 5);
  });

  it("cannot be foreseen without the seed", () => {
    const waits = (entropy: Uint8Array): string => {
      const { clock, join, publish, endTurn } = setUp({}, entropy);
      const subscribers = Array.from({ length: 20 }, (_, index) => join(`s${index}`, "FREE"));
      publish();
      endTurn();
      clock.advance(150);
      return subscribers.map(({ writes }) => writes.at(-1)?.at).join();
    };
    const other = Uint8Array.from(ENTROPY);
    other[31] = 255;
    assert.notEqual(waits(ENTROPY), waits(other));
  });

  it("cannot be got round with a cursor", () => {
    const { clock, join, next } = setUp();
    const from = clock.now();
    const subscriber = join("a", "FREE", {}, [next()]);
    assert.equal(subscriber.writes.length, 1);
    clock.advance(150);
    assert.ok((subscriber.writes[1]?.at ?? 0) - from >= 50);
  });

  it("needs one timer for all", () => {
    const { clock, join, publish, endTurn, hub } = setUp();
    for (let index = 0; index < 500; index++) join(`s${index}`, "FREE");
    for (let block = 0; block < 3; block++) {
      publish();
      endTurn();
      clock.advance(5);
    }
    assert.deepEqual([clock.pending, hub.stats().waiting], [1, 500]);
    clock.advance(200);
    assert.deepEqual([clock.pending, hub.stats().waiting], [0, 0]);
  });
});

class FrameCount {
  readonly frames: number;

  constructor(bytes: Uint8Array) {
    let frames = 0;
    for (let at = 0; at < bytes.length; at += 4 + Buffer.from(bytes).readUInt16BE(at + 2)) frames++;
    this.frames = frames;
  }
}

describe("Hub, adjusted while it runs", () => {
  const paced = (min: number, max: number, eventsPerSecond = 1_000): HubOptions["tiers"] => ({
    ...TIER,
    FREE: { pacingMs: { min, max }, eventsPerSecond },
  });

  it("takes a tier's pace away and gives it back, for those who are there, and nothing overtakes what waits", () => {
    const { clock, join, publish, endTurn, hub } = setUp({ tiers: paced(400, 500) });
    const subscriber = join("a", "FREE");
    const before = publish();
    endTurn();
    hub.adjust({ ...TIER, FREE: { pacingMs: null, eventsPerSecond: 1_000 } });
    const behind = publish();
    endTurn();
    assert.deepEqual(cursors(subscriber.messages()), [], "at once, but behind what was there first");
    clock.advance(500);
    const atOnce = publish();
    endTurn();
    assert.deepEqual(
      cursors(subscriber.messages()),
      [...before, ...behind, ...atOnce].map(({ cursor }) => cursor),
    );
    hub.adjust(paced(400, 500));
    publish();
    endTurn();
    clock.advance(399);
    assert.equal(cursors(subscriber.messages()).length, 3);
    clock.advance(101);
    assert.equal(cursors(subscriber.messages()).length, 4);
  });

  it("sends what was published before by the old pace", () => {
    const { join, publish, endTurn, hub } = setUp();
    const subscriber = join("a");
    publish();
    hub.adjust({ ...TIER, ENTERPRISE: { pacingMs: { min: 400, max: 500 }, eventsPerSecond: 100 } });
    endTurn();
    assert.equal(cursors(subscriber.messages()).length, 1);
  });

  it("raises a rate, and lowers it below what was joined into one write", () => {
    const tiers = (eventsPerSecond: number): HubOptions["tiers"] => ({
      ...TIER,
      ENTERPRISE: { pacingMs: null, eventsPerSecond },
    });
    const { clock, join, publish, endTurn, hub, drops } = setUp({ tiers: tiers(30) });
    const subscriber = join("a");
    const events = publish(50);
    endTurn();
    assert.equal(cursors(subscriber.messages()).length, 30);
    hub.adjust(tiers(5));
    clock.advance(1_000);
    assert.equal(cursors(subscriber.messages()).length, 50, "the write of 20 has a second of its own");
    events.push(...publish(10));
    endTurn();
    clock.advance(1_000);
    assert.equal(cursors(subscriber.messages()).length, 55);
    hub.adjust(tiers(1_000));
    clock.advance(1_000);
    events.push(...publish(200));
    endTurn();
    assert.deepEqual(
      cursors(subscriber.messages()),
      events.map(({ cursor }) => cursor),
    );
    assert.deepEqual(drops, []);
  });

  it("counts for who comes later", () => {
    const { clock, join, publish, endTurn, hub } = setUp();
    hub.adjust(paced(400, 500));
    const subscriber = join("a", "FREE");
    publish();
    endTurn();
    clock.advance(399);
    assert.equal(cursors(subscriber.messages()).length, 0);
    clock.advance(101);
    assert.equal(cursors(subscriber.messages()).length, 1);
  });
});

describe("Hub, any order of things", () => {
  it("gives every subscriber what it asked for, once and in order, or closes it with its place", () => {
    const FILTERS: readonly Partial<Filter>[] = [
      {},
      { phase: "announced" },
      { phase: "validated" },
      { types: ["reorg"] },
    ];
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 20, max: 200 }), (seed, steps) => {
        const random = seededRandom(seed);
        const pick = (bound: number): number => Math.floor(random() * bound);
        const { clock, join, next, publish, endTurn, hub, log } = setUp({
          outboxBytes: 12_000,
          sliceEvents: 4,
          joinEvents: 8,
        });
        const sessions: { subscriber: FakeSubscriber; from: number; left: boolean }[] = [];
        for (let step = 0; step < steps; step++) {
          switch (pick(10)) {
            case 0: {
              // A new one, or one that comes back with a cursor of a while ago.
              const from = random() < 0.5 ? log.lastSeq : pick(log.lastSeq + 1);
              const filter = FILTERS[pick(FILTERS.length)] ?? {};
              const heard = (event: StreamEvent): boolean =>
                event.type === "block" &&
                filter.types === undefined &&
                (filter.phase === undefined || event.phase === filter.phase);
              const backlog = (log.since(from) ?? []).filter(heard);
              const subscriber = join(`s${step}`, TIERS[pick(3)] as Tier, filter, backlog);
              sessions.push({ subscriber, from, left: false });
              break;
            }
            case 1: {
              const session = sessions[pick(sessions.length)];
              if (session === undefined) break;
              session.left = true;
              hub.remove(session.subscriber.id);
              break;
            }
            case 2: {
              const subscriber = sessions[pick(sessions.length)]?.subscriber;
              if (subscriber === undefined) break;
              subscriber.stalled = !subscriber.stalled;
              if (!subscriber.stalled) subscriber.buffered = 0;
              break;
            }
            case 3:
            case 4:
              clock.advance(pick(60));
              break;
            case 5:
              endTurn();
              break;
            case 6:
              hub.publish(next("validated"));
              break;
            case 7: {
              const min = pick(80);
              const anyPace = () => ({
                pacingMs: random() < 0.5 ? null : { min, max: min + pick(50) },
                eventsPerSecond: 1 + pick(40),
              });
              hub.adjust({ FREE: anyPace(), BUSINESS: anyPace(), ENTERPRISE: anyPace() });
              break;
            }
            default:
              publish(1 + pick(4));
          }
        }
        for (const { subscriber } of sessions) {
          subscriber.stalled = false;
          subscriber.buffered = 0;
        }
        endTurn();
        hub.adjust(TIER);
        clock.advance(5_000);
        for (const { subscriber, from, left } of sessions) {
          const { filter } = subscriber;
          const due = (log.since(from) ?? [])
            .filter(
              (event) =>
                event.type === "block" &&
                filter.types === null &&
                (filter.phase === null || filter.phase === event.phase),
            )
            .map(({ cursor }) => cursor);
          const messages = subscriber.messages();
          const got = cursors(messages);
          assert.deepEqual(got, due.slice(0, got.length), "in order, nothing twice, nothing left out");
          if (subscriber.closed !== null) {
            assert.equal(messages.at(-1)?.type, "goodbye");
            assert.equal(messages.at(-1)?.cursor, got.at(-1) ?? `hello-${subscriber.id}`);
          } else if (!left) assert.equal(got.length, due.length, "everything");
        }
        assert.equal(hub.stats().waiting, 0);
      }),
      { numRuns: 300 },
    );
  });
});
