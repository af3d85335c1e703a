/** Nodes in the hands of a test: each answers, fails or hangs as told, and counts what it saw. */
import {
  type ProxyModules,
  type ProxyOptions,
  type RequestTold,
  type RpcUpstream,
  createRpcProxy,
} from "../../../src/daemon/proxy/index.ts";
import type { AttemptTold } from "../../../src/daemon/proxy/index.ts";
import { type BreakerTransition, BreakerPool, breakerOf, policyOf } from "../../../src/daemon/breaker/index.ts";
import type { PassedAnswer } from "../../../src/daemon/upstream/index.ts";
import { type Clock, seededRandom } from "../../../src/shared/clock.ts";
import { SprintError } from "../../../src/shared/errors.ts";
import { FakeClock } from "../../fakes/clock.ts";

export interface FakeNode extends RpcUpstream {
  height: number | null;
  /** Takes so long for each answer. */
  delayMs: number;
  /** In place of the usual answer: a result, or something thrown. "hang": none until its time is over. */
  habit: ((method: string, params: unknown) => unknown) | "hang" | null;
  readonly asked: string[];
  underWay: number;
  mostUnderWay: number;
  aborted: number;
}

/** Thrown by a habit: the node's error object. */
export class NodeError extends Error {
  readonly body: { readonly code: number; readonly message: string };
  constructor(code: number, message: string) {
    super(message);
    this.body = { code, message };
  }
}

export function unreachable(): never {
  throw new SprintError("SPRINT_RPC_UNREACHABLE", "expected a node, got: connect ECONNREFUSED");
}

export interface Bench {
  readonly clock: FakeClock;
  readonly pool: BreakerPool;
  readonly proxy: ReturnType<typeof createRpcProxy>;
  readonly nodes: readonly FakeNode[];
  readonly attempts: AttemptTold[];
  readonly requests: RequestTold[];
  readonly transitions: BreakerTransition[];
  served: { hash: string; height: number } | null;
  /** Height by hash on the served chain. */
  readonly known: Map<string, number>;
  /** One call and its answer, with time moving on as far as it needs. */
  call(method: string, params?: unknown, options?: { signal?: AbortSignal }): Promise<Reply>;
  send(body: string, signal?: AbortSignal): Promise<Reply>;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly json: any;
  readonly tookMs: number;
}

/** As the daemon's registry opens them, without an operator. */
export function openIn(pool: BreakerPool, clock: Pick<Clock, "now">): ProxyModules["openBreaker"] {
  const tier = policyOf("ENTERPRISE");
  return (name, own) => breakerOf(name, () => policyOf("ENTERPRISE", own(tier)), { pool, now: () => clock.now() });
}

export function hashAt(height: number): string {
  return height.toString(16).padStart(64, "0");
}

export function bench(count: number, options: Partial<ProxyOptions> = {}, modules: Partial<ProxyModules> = {}): Bench {
  const clock = new FakeClock();
  const random = seededRandom(7);
  const transitions: BreakerTransition[] = [];
  const pool = new BreakerPool({}, { clock, random, onTransition: (each) => transitions.push(each) });
  const nodes = Array.from({ length: count }, (_, at) => fakeNode(`ltc-${at + 1}`, clock));
  const attempts: AttemptTold[] = [];
  const requests: RequestTold[] = [];
  const known = new Map(Array.from({ length: 101 }, (_, height) => [hashAt(height), height]));
  const it: Bench = {
    clock,
    pool,
    nodes,
    attempts,
    requests,
    transitions,
    known,
    served: { hash: hashAt(100), height: 100 },
    proxy: createRpcProxy(
      { chain: "litecoin", family: "utxo", ...options },
      {
        clock,
        // Begins with the first upstream.
        random: () => 0,
        openBreaker: openIn(pool, clock),
        upstreams: () => nodes,
        served: { tip: () => it.served, heightOf: (hash) => known.get(hash) ?? null },
        onAttempt: (attempt) => attempts.push(attempt),
        onRequest: (request) => requests.push(request),
        ...modules,
      },
    ),
    call: (method, params = [], { signal } = {}) =>
      it.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }), signal),
    async send(body, signal = new AbortController().signal) {
      const begun = clock.now();
      const reply = await settled(clock, it.proxy.handle(body, signal));
      return { ...reply, json: JSON.parse(reply.body) as unknown, tookMs: clock.now() - begun };
    },
  };
  return it;
}

/** Moves time from timer to timer until `promise` is settled. */
export async function settled<T>(clock: FakeClock, promise: Promise<T>): Promise<T> {
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  promise.then(over, over);
  for (;;) {
    await turn();
    if (isOver) return promise;
    const due = clock.nextDue;
    if (due === null) throw new Error("it waits, and no timer does");
    clock.advance(due - clock.now());
  }
}

export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function fakeNode(name: string, clock: FakeClock): FakeNode {
  const node: FakeNode = {
    name,
    height: 100,
    delayMs: 2,
    habit: null,
    asked: [],
    underWay: 0,
    mostUnderWay: 0,
    aborted: 0,
    heightNow: () => node.height,
    async ask(method, params, { signal, timeoutMs = 0 }) {
      node.asked.push(method);
      node.mostUnderWay = Math.max(node.mostUnderWay, ++node.underWay);
      try {
        const { habit } = node;
        await waitFor(clock, habit === "hang" ? Infinity : node.delayMs, timeoutMs, signal);
        const result = typeof habit === "function" ? habit(method, params) : usual(node, method, params);
        return { ok: true, json: JSON.stringify(result) } satisfies PassedAnswer;
      } catch (error) {
        if (signal?.aborted) node.aborted++;
        if (!(error instanceof NodeError)) throw error;
        const { code, message } = error.body;
        return { ok: false, json: JSON.stringify(error.body), code, message } satisfies PassedAnswer;
      } finally {
        node.underWay--;
      }
    },
  };
  return node;
}

function usual(node: FakeNode, method: string, params: unknown): unknown {
  if (method === "getblockcount") return node.height;
  if (method === "getbestblockhash") return hashAt(node.height ?? 0);
  return { method, params, by: node.name };
}

function waitFor(clock: FakeClock, ms: number, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const isLate = ms > timeoutMs;
    const cancel = clock.after(isLate ? timeoutMs : ms, () => {
      if (isLate) reject(new SprintError("SPRINT_RPC_TIMEOUT", `expected an answer within ${timeoutMs} ms, got none`));
      else resolve();
    });
    signal?.addEventListener("abort", () => {
      cancel();
      reject(signal.reason);
    });
  });
}
