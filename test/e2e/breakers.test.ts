/**
 * Two real litecoind behind one daemon, one of them frozen, cut off in one direction, killed: its breakers open with their reason, clients are
 * served by the other, no block is lost, and it comes back.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { BreakerBody, BreakersBody, ControlMessage, TransitionBody } from "../../src/shared/api.ts";
import { ControlClient } from "../../src/shared/client.ts";
import { type Litecoind, hasLitecoind, startLitecoind } from "../fakes/litecoind.ts";
import { type SprintProcess, startSprint } from "../fakes/sprint.ts";
import { type TestSubscriber, subscribe } from "../fakes/subscriber.ts";
import { type Wire, startWire } from "../fakes/wire.ts";
import { ask, runSprint, until, upstreamOnce } from "./watch.ts";

const skip = hasLitecoind() ? false : "litecoind is not installed";
const CALLS_PER_SECOND = 200;
/** Half of what the proxy takes at a time: a machine that stands still for a second is not to be held against it. */
const MAX_UNDER_WAY = 128;
const LOOKUPS = "upstream:litecoin:ltc-1:lookup";

describe("one of two litecoind is not well", { skip }, () => {
  const stops: (() => Promise<unknown>)[] = [];
  const stream: TransitionBody[] = [];
  let ill: Litecoind;
  let well: Litecoind;
  let wires: readonly [p2p: Wire, rpc: Wire];
  let sprint: SprintProcess;
  let client: TestSubscriber;
  let traffic: Traffic;

  before(async () => {
    [ill, well] = await Promise.all([startLitecoind(), startLitecoind()]);
    stops.push(
      () => ill.stop(),
      () => well.stop(),
    );
    await well.mine(20);
    await befriend();
    wires = [await startWire(ill.p2pPort), await startWire(ill.rpcPort)];
    for (const wire of wires) stops.push(() => wire.close());
    const chain = (p2p: number, rpc: number, { cookiePath }: Litecoind): string =>
      `litecoin=p2p://127.0.0.1:${p2p}?network=regtest&rpc=http://127.0.0.1:${rpc}&cookie=${encodeURIComponent(cookiePath)}`;
    sprint = await startSprint({
      args: [
        "--tier",
        "ENTERPRISE",
        `--chain=${chain(wires[0].port, wires[1].port, ill)}`,
        `--chain=${chain(well.p2pPort, well.rpcPort, well)}`,
      ],
    });
    stops.push(() => sprint.stop());
    client = await subscribe(sprint.tiers.ENTERPRISE ?? "");
    stops.push(() => client.close());
    const control = new ControlClient({}, { address: { url: sprint.control, token: sprint.token.trim(), tiers: {} } });
    const listening = await control.stream(
      (message: ControlMessage) => message.type === "transition" && stream.push(message.data),
      () => {},
    );
    stops.push(async () => listening.close());
    for (const name of ["ltc-1", "ltc-2"]) await upstreamOnce(sprint, name, ({ state }) => state === "up");
    traffic = new Traffic(`${sprint.tiers.ENTERPRISE}/api/v1/chains/litecoin/rpc`, await well.rpc("getblockhash", [7]));
    stops.push(() => traffic.stop());
    await until(
      () => traffic.answers > 3 * CALLS_PER_SECOND,
      () => `only ${traffic.answers} answers; ${traffic.problems.join("; ")}`,
    );
  });
  after(async () => {
    for (const stop of stops.reverse()) await stop();
  });

  async function befriend(): Promise<void> {
    await well.rpc("addnode", [`127.0.0.1:${ill.p2pPort}`, "onetry"]);
    const best = await well.rpc<string>("getbestblockhash");
    await until(
      async () => (await ill.rpc<string>("getbestblockhash").catch(() => "")) === best,
      () => "the two nodes do not find together",
    );
  }

  /** The stream holds the well node's chain, from the first block heard on, each once and in order. */
  async function assertNoneLost(): Promise<void> {
    const best = await well.rpc<string>("getbestblockhash");
    while (client.checker.tip("litecoin") !== best) await client.next();
    client.checker.assertClean();
    const path = client.checker.path("litecoin");
    const height = await well.rpc<number>("getblockcount");
    const truth: string[] = [];
    for (let at = height - path.length + 1; at <= height; at++) truth.push(await well.rpc("getblockhash", [at]));
    assert.deepEqual(path, truth);
  }

  function allClosed(): Promise<void> {
    return until(
      async () =>
        (await ask<BreakersBody>(sprint, "/control/v1/breakers")).breakers.every(({ state }) => state === "closed"),
      () => "a breaker stayed open",
    );
  }

  const breaker = (name: string): Promise<BreakerBody> => ask(sprint, `/control/v1/breakers/${name}`);
  const opened = (from: number): TransitionBody | undefined =>
    stream.slice(from).find((each) => each.breaker === LOOKUPS && each.to === "open");

  const faults: readonly {
    readonly what: string;
    readonly begin: () => Promise<void> | void;
    readonly end: () => Promise<void> | void;
  }[] = [
    { what: "frozen (SIGSTOP)", begin: () => ill.freeze(), end: () => ill.thaw() },
    {
      what: "its answers cut off, one way",
      begin: () => wires.forEach((wire) => wire.cut("from")),
      end: () => wires.forEach((wire) => wire.mend()),
    },
    { what: "killed", begin: () => ill.kill(), end: () => ill.restart() },
  ];
  for (const { what, begin, end } of faults) {
    test(`${what}: opened with its cause, no block lost, back when it is well`, async (t) => {
      // On a busy machine a node that is well may have been too slow before.
      await allClosed();
      const from = stream.length;
      const refused = traffic.problems.length;
      await well.mine(2);
      await assertNoneLost();
      const begun = Date.now();
      await begin();
      await until(
        () => opened(from) !== undefined,
        () => `${LOOKUPS} did not open: ${JSON.stringify(stream.slice(from))}`,
      );
      const open = opened(from) ?? assert.fail();
      assert.ok(["evidence", "latency", "health"].includes(open.cause), open.cause);
      t.diagnostic(
        `${what}: open ${Date.parse(open.at) - begun} ms after it began, by ${open.cause}, ${JSON.stringify(open.evidence)}`,
      );
      for (let i = 0; i < 3; i++) {
        await well.mine(1);
        await assertNoneLost();
      }
      assert.match(
        (await runSprint(["breakers", "list", "--data-dir", sprint.dataDir])).stdout,
        /:ltc-1:lookup +(open|half_open)/,
      );
      const { stdout } = await runSprint(["breakers", "history", LOOKUPS, "--data-dir", sprint.dataDir]);
      assert.match(stdout, new RegExp(`open.*${open.cause}`));
      assert.deepEqual(traffic.problems.slice(refused), [], "every client was answered");

      await end();
      if (what === "killed") await befriend();
      await until(
        async () => (await breaker(LOOKUPS)).state === "closed",
        () => `${LOOKUPS} did not close: ${JSON.stringify(stream.slice(-4))}`,
      );
      await upstreamOnce(sprint, "ltc-1", ({ state }) => state === "up");
      const mended = stream.slice(from).filter((each) => each.breaker === LOOKUPS);
      assert.equal(mended.at(-1)?.cause, "recovered");
      await allClosed();
      await well.mine(1);
      await assertNoneLost();
      assert.deepEqual(
        stream.map(({ seq }) => seq),
        stream.map((_, at) => (stream[0]?.seq ?? 0) + at),
        "no transition is missing from the stream",
      );
    });
  }
});

/** Clients of the JSON-RPC proxy, each call when it is due, answered or not; what is due while too many wait is not called. */
class Traffic {
  answers = 0;
  /** Calls that got none. */
  readonly problems: string[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #open = new Set<Promise<void>>();

  constructor(url: string, hash: string) {
    let calls = 0;
    const started = performance.now();
    const call = async (id: number): Promise<void> => {
      // A parameter of its own, or calls under way would share one answer.
      const body = JSON.stringify({ jsonrpc: "2.0", id, method: "getblockheader", params: [hash, id % 2 === 0] });
      try {
        const response = await fetch(url, { method: "POST", body, headers: { "content-type": "application/json" } });
        const answer = (await response.json()) as { result?: unknown; error?: unknown };
        if (answer.result === undefined) throw new Error(JSON.stringify(answer.error));
        this.answers++;
      } catch (error) {
        this.problems.push(String(error));
      }
    };
    this.#timer = setInterval(() => {
      for (const due = ((performance.now() - started) * CALLS_PER_SECOND) / 1_000; calls < due; calls++) {
        if (this.#open.size >= MAX_UNDER_WAY) continue;
        const open: Promise<void> = call(calls).finally(() => this.#open.delete(open));
        this.#open.add(open);
      }
    }, 5);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
  }
}
