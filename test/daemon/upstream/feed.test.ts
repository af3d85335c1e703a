import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { seededRandom } from "../../../src/shared/clock.ts";
import { SprintError, isSprintError } from "../../../src/shared/errors.ts";
import type { UtxoHeader } from "../../../src/daemon/chain/index.ts";
import { nextDelayMs } from "../../../src/daemon/upstream/backoff.ts";
import {
  type FeedOptions,
  type Link,
  type LinkEvents,
  LinkFeed,
  stallMsFor,
} from "../../../src/daemon/upstream/feed.ts";
import type { Announcement } from "../../../src/daemon/upstream/types.ts";
import { IGNORED, type OutcomeCode } from "../../../src/daemon/breaker/index.ts";
import { testBreaker } from "../../fakes/breaker.ts";
import { FakeClock } from "../../fakes/clock.ts";

const never = new AbortController().signal;

function header(hash: string): UtxoHeader {
  const raw = new Uint8Array(80);
  const fields = { parentHash: "", merkleRoot: "", version: 1, time: 0, bits: 0, nonce: 0 };
  return { hash, locator: hash, height: null, ...fields, auxpow: null, raw };
}

function announcement(hash: string): Announcement {
  return { header: header(hash), via: "headers", receivedAt: 0, txCount: null, body: null };
}

/** A feed whose links are in the test's hands. */
function setUp(options: Partial<FeedOptions> = {}, failureThreshold = 100) {
  const clock = new FakeClock();
  const dials: { readonly events: LinkEvents; closed: boolean; locators: (readonly string[])[] }[] = [];
  const heard: string[] = [];
  const answer = { headers: (): Promise<readonly UtxoHeader[]> => Promise.resolve([]) };
  const policy = { failureThreshold, resetTimeoutMs: 15_000, firstOpenMs: 15_000, halfOpenCalls: 1 };
  const breaker = testBreaker({ clock, policy, onMoved: () => feed.breakerMoved() });
  const feed: LinkFeed = new LinkFeed(
    { name: "f", chain: "litecoin", kind: "p2p", url: "p2p://x", blockTimeSeconds: 150, ...options },
    {
      connect: (events) => {
        const dial = { events, closed: false, locators: [] as (readonly string[])[] };
        dials.push(dial);
        const link: Link = {
          headersAfter: (locator) => {
            dial.locators.push(locator);
            return answer.headers();
          },
          body: () => new Promise(() => {}),
          close: () => {
            dial.closed = true;
            return Promise.resolve();
          },
        };
        return link;
      },
      sink: {
        up: () => heard.push("up"),
        announce: (_, announcements) => heard.push(...announcements.map(({ header }) => header.hash)),
        down: (_, reason) => heard.push(`down: ${reason}`),
      },
      breaker,
      clock,
      random: seededRandom(1),
    },
  );
  const last = () => {
    const dial = dials.at(-1);
    assert.ok(dial !== undefined, "dialled");
    return dial;
  };
  return { feed, clock, dials, heard, answer, breaker, last };
}

const lost = (message = "gone") => new SprintError("SPRINT_P2P_CLOSED", message);
const hasCode = (code: string) => (error: unknown) => isSprintError(error) && error.code === code;

test("delays stay between the base and the cap, spread out and grow", () => {
  const random = seededRandom(7);
  const options = { baseMs: 100, capMs: 5_000 };
  const tops: number[] = [];
  for (let run = 0; run < 200; run++) {
    let delay = 0;
    for (let i = 0; i < 12; i++) {
      delay = nextDelayMs(delay, options, random);
      assert.ok(delay >= 100 && delay <= 5_000);
    }
    tops.push(delay);
  }
  assert.ok(tops.some((delay) => delay === 5_000) && new Set(tops).size > 20);
  assert.equal(nextDelayMs(0, options, random), 100);
});

test("the stall threshold is 30 block times within 30 s and 5 min", () => {
  assert.deepEqual([0.5, 2, 60].map(stallMsFor), [30_000, 60_000, 300_000]);
});

describe("life of a feed", () => {
  test("it dials, tells the sink, and dials again after a loss, later each time", () => {
    const { feed, clock, dials, heard, last } = setUp();
    feed.start();
    feed.start();
    assert.equal(dials.length, 1);
    last().events.told({ agent: "/node:1/", height: 7 });
    last().events.up();
    last().events.announce([announcement("a")]);
    assert.deepEqual([feed.status().state, feed.status().agent, feed.status().height], ["up", "/node:1/", 7]);
    last().events.lost(lost("cut"));
    assert.deepEqual(heard, ["up", "a", "down: cut"]);
    assert.equal(last().closed, true);
    assert.deepEqual(feed.status().lastError, { code: "SPRINT_P2P_CLOSED", message: "cut" });
    let longest = 0;
    for (let failures = 1; failures <= 8; failures++) {
      longest = Math.max(longest, (clock.nextDue ?? 0) - clock.now());
      clock.advance(30_000);
      assert.ok(dials.length > failures);
      last().events.lost(lost());
    }
    assert.ok(longest > 1_000, `the longest delay was ${longest}`);
    assert.deepEqual(heard.length, 3, "attempts that came to nothing are not told");
  });

  test("nothing of a connection that is over is heard", () => {
    const { feed, heard, last, clock, dials } = setUp();
    feed.start();
    last().events.up();
    const old = last().events;
    old.lost(lost());
    old.announce([announcement("late")]);
    old.up();
    old.lost(lost("again"));
    clock.advance(1_000);
    assert.equal(dials.length, 2);
    last().events.up();
    old.lost(lost("ghost"));
    assert.deepEqual(heard, ["up", "down: gone", "up"]);
  });

  test("a node that does not shake hands in time is left", () => {
    const { feed, clock, last, heard } = setUp({ openTimeoutMs: 5_000 });
    feed.start();
    clock.advance(5_000);
    assert.equal(feed.status().state, "down");
    assert.equal(feed.status().lastError?.code, "SPRINT_UPSTREAM_TIMEOUT");
    assert.equal(last().closed, true);
    assert.deepEqual(heard, []);
  });

  test("close ends it for good, from any state", async () => {
    const { feed, clock, last, dials, heard } = setUp();
    feed.start();
    last().events.up();
    await feed.close();
    await feed.close();
    assert.equal(feed.status().state, "closed");
    assert.deepEqual(heard, ["up", "down: this feed was closed"]);
    feed.uncordon();
    feed.start();
    feed.cordon("no", 5);
    clock.advance(600_000);
    assert.deepEqual([dials.length, clock.pending, feed.status().state], [1, 0, "closed"]);
  });
});

describe("cordon", () => {
  test("takes it out at once and lets it back after its time", () => {
    const { feed, clock, last, dials, heard } = setUp();
    feed.start();
    last().events.up();
    feed.cordon("sent a bad header", 10_000);
    assert.deepEqual(heard, ["up", "down: sent a bad header"]);
    assert.deepEqual(feed.status().cordon, { reason: "sent a bad header" });
    clock.advance(9_999);
    assert.equal(dials.length, 1);
    clock.advance(1);
    assert.deepEqual([dials.length, feed.status().state], [2, "connecting"]);
  });

  test("for ever means until uncordon, also before start and twice over", () => {
    const { feed, clock, dials } = setUp();
    feed.cordon("first", 5_000);
    feed.cordon("by hand", Number.POSITIVE_INFINITY);
    feed.start();
    clock.advance(3_600_000);
    assert.deepEqual([dials.length, feed.status().state], [0, "cordoned"]);
    feed.uncordon();
    assert.deepEqual([dials.length, feed.status().state], [1, "connecting"]);
  });
});

describe("breaker", () => {
  test("an open one is not dialled past; its probe brings the feed back", async () => {
    const { feed, clock, dials, last, breaker } = setUp({ openTimeoutMs: 600_000 }, 2);
    feed.start();
    last().events.lost(lost());
    clock.advance(30_000 - 15_001);
    last().events.lost(lost());
    assert.equal(breaker.state(), "open");
    clock.advance(14_999);
    assert.equal(dials.length, 2);
    clock.advance(30_000);
    assert.equal(dials.length, 3);
    clock.advance(60_000);
    assert.equal(breaker.state(), "half_open", "nor is a slow handshake held against it");
    last().events.up();
    assert.equal(breaker.state(), "half_open", "a handshake alone proves little");
    await feed.headersAfter(["x"], never);
    assert.equal(breaker.state(), "closed");
  });

  test("handshake and hang-up, again and again, opens it", () => {
    const { feed, clock, last, breaker } = setUp({}, 3);
    feed.start();
    for (let i = 0; i < 3; i++) {
      last().events.up();
      last().events.lost(lost());
      if (i < 2) clock.advance(14_000);
    }
    assert.equal(breaker.state(), "open");
  });

  test("a hang-up in place of the first answer fails the probe", async () => {
    const { feed, clock, dials, last, breaker, answer } = setUp({}, 2);
    answer.headers = () => new Promise(() => {});
    const ask = () => void feed.headersAfter(["x"], never).catch(() => {});
    feed.start();
    for (let i = 0; i < 2; i++) {
      last().events.up();
      last().events.lost(lost());
      clock.advance(1_000);
    }
    assert.equal(breaker.state(), "open");
    while (dials.length < 3) clock.advance(1_000);
    assert.equal(breaker.state(), "half_open");
    last().events.up();
    ask();
    last().events.lost(lost());
    assert.equal(breaker.state(), "open");
  });

  test("that it was forced open is no failure of the node, dialled or connected", () => {
    for (const isUp of [false, true]) {
      const { feed, last, breaker, heard } = setUp();
      const told: OutcomeCode[] = [];
      breaker.onResult = (_token, outcome) => void told.push(outcome);
      feed.start();
      if (isUp) last().events.up();
      breaker.state = () => "force_open";
      feed.breakerMoved();
      assert.deepEqual([last().closed, told, heard.length], [true, [IGNORED], isUp ? 2 : 0]);
    }
  });

  test("requests that fail open it, and that takes the connection down", async () => {
    const { feed, last, answer, heard } = setUp({}, 2);
    feed.start();
    last().events.up();
    answer.headers = () => Promise.reject(new SprintError("SPRINT_UPSTREAM_BAD_ANSWER", "nonsense"));
    for (let i = 0; i < 2; i++)
      await assert.rejects(feed.headersAfter([], never), hasCode("SPRINT_UPSTREAM_BAD_ANSWER"));
    await Promise.resolve();
    assert.equal(feed.status().lastError?.code, "SPRINT_UPSTREAM_BREAKER_OPEN");
    assert.equal(heard.length, 2);
  });
});

describe("requests", () => {
  test("end with an answer, the caller's abort, the time-out, or the connection", async () => {
    const { feed, clock, last, answer } = setUp({ requestTimeoutMs: 1_000 });
    await assert.rejects(feed.body("h", never), hasCode("SPRINT_UPSTREAM_DOWN"));
    feed.start();
    last().events.up();
    answer.headers = () => Promise.resolve([header("h1")]);
    assert.deepEqual(
      (await feed.headersAfter(["g"], never)).map(({ hash }) => hash),
      ["h1"],
    );

    const timedOut = assert.rejects(feed.body("h", never), hasCode("SPRINT_UPSTREAM_TIMEOUT"));
    clock.advance(1_000);
    await timedOut;

    const caller = new AbortController();
    const aborted = assert.rejects(feed.body("h", caller.signal), /enough/);
    caller.abort(new Error("enough"));
    await aborted;

    const cut = assert.rejects(feed.body("h", never), hasCode("SPRINT_P2P_CLOSED"));
    last().events.lost(lost());
    await cut;
    assert.equal(clock.pending, 1, "only the redial is left");
  });

  test("are bounded", async () => {
    const { feed, last } = setUp();
    feed.start();
    last().events.up();
    const waiting = Array.from({ length: 64 }, () => feed.body("h", never).catch(() => null));
    await assert.rejects(feed.body("h", never), hasCode("SPRINT_UPSTREAM_BUSY"));
    await feed.close();
    assert.equal((await Promise.all(waiting)).length, 64);
  });
});

describe("stall watchdog", () => {
  test("only a block not pushed before sets it back, and a quiet chain is no stall", async () => {
    const { feed, clock, last } = setUp({ stallMs: 30_000 });
    feed.start();
    last().events.up();
    await feed.headersAfter(["tip", "genesis"], never);
    clock.advance(29_000);
    last().events.announce([announcement("a")]);
    clock.advance(29_000);
    last().events.announce([announcement("a")]);
    last().events.told({ height: 9 });
    assert.equal(last().locators.length, 1, "not asked yet");
    await clock.advanceAsync(1_000);
    assert.deepEqual(last().locators.at(-1), ["a", "tip", "genesis"]);
    assert.equal(feed.status().state, "up");
    await clock.advanceAsync(30_000);
    assert.equal(last().locators.length, 3, "and is watched on");
    assert.equal(feed.status().state, "up");
  });

  test("a node that has newer blocks and did not push them is left", async () => {
    const { feed, clock, last, answer, heard } = setUp({ stallMs: 30_000 });
    feed.start();
    last().events.up();
    answer.headers = () => Promise.resolve([header("unpushed")]);
    await clock.advanceAsync(30_000);
    assert.equal(feed.status().lastError?.code, "SPRINT_UPSTREAM_STALLED");
    assert.equal(heard.length, 2);
  });

  test("so is one that does not answer", async () => {
    const { feed, clock, last, answer } = setUp({ stallMs: 30_000, requestTimeoutMs: 1_000 });
    feed.start();
    last().events.up();
    answer.headers = () => new Promise(() => {});
    await clock.advanceAsync(31_000);
    assert.equal(feed.status().lastError?.code, "SPRINT_UPSTREAM_STALLED");
  });
});
