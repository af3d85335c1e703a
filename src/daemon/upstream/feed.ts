/**
 * What every feed does, whatever it speaks: p2p, rpc and zmq are only the connecting part (`Connect`, `Link`).
 *
 *   idle ──start──▶ connecting ──events.up──▶ up
 *                     ▲    │ lost, time-out    │ lost, stalled, breaker open
 *                     │    ▼                   ▼
 *                     └── down ◀───────────────┘        redials after a jittered delay, when the breaker lets it
 *
 * From everywhere: cordon ──▶ cordoned ──uncordon or its time──▶ connecting;  close ──▶ closed.
 *
 * The breaker is asked before each dial, and its permit given back at once: how long a node takes to shake hands, and that it
 * does, says nothing about it. What it does for us says it: each request is a call, and a dial that fails and each end of a
 * connection that nobody asked for are failures, so one that shakes hands and hangs up, for ever, fails each time. Requests of a connection are counted, never refused: a breaker
 * that opens takes the connection down.
 *
 * The watchdog catches sockets that stay open and say nothing. It is armed when the feed is up and only a pushed block not
 * seen before sets it back. When it fires, the node is asked what it has after our newest header: nothing newer means a
 * quiet chain (half of Bitcoin's five minutes have no block) and the watch goes on; newer blocks that it did not push, or
 * no answer, mean that it stalled.
 */
import type { PendingTransaction } from "../../shared/body.ts";
import type { Chain } from "../../shared/chain.ts";
import type { Cancel, Clock, Random } from "../../shared/clock.ts";
import { SprintError, isSprintError, messageOf } from "../../shared/errors.ts";
import { type Breaker, FAILURE, IGNORED, type OutcomeCode, SUCCESS } from "../breaker/index.ts";
import type { Header } from "../chain/index.ts";
import { type BackoffOptions, nextDelayMs } from "./backoff.ts";
import { busy, noAnswer, notUp, openTimeout, stalled, tripped, unsupported } from "./feed-errors.ts";
import type {
  Announcement,
  ChainPoint,
  Feed,
  FeedKind,
  FeedSink,
  FeedState,
  FeedStatus,
  FilterRange,
  FilterRun,
  MempoolFigures,
} from "./types.ts";

/** One connection. After `close` it calls back no more. */
export interface Link {
  /** As in `Feed`; time-outs come in by the signal. */
  headersAfter(locator: readonly string[], signal: AbortSignal): Promise<readonly Header[]>;
  body(locator: string, signal: AbortSignal): Promise<Uint8Array>;
  filters?(range: FilterRange, signal: AbortSignal): Promise<FilterRun>;
  mempool?(signal: AbortSignal): Promise<MempoolFigures>;
  /** May be called more than once; resolves when nothing is open any more. */
  close(): Promise<void>;
}

/** What a link tells its feed; never before `Connect` has returned. */
export interface LinkEvents {
  /** The node answered and is on our network: requests are welcome. Once. */
  up(): void;
  /** Parents first. */
  announce(announcements: readonly Announcement[]): void;
  /** What the node says about itself, as it becomes known. */
  told(facts: Told): void;
  pending(transactions: readonly PendingTransaction[]): void;
  /** The connection is of no use any more. The feed closes the link and dials again later. */
  lost(error: SprintError): void;
}

export interface Told {
  readonly agent?: string;
  readonly height?: number;
  readonly safe?: ChainPoint;
  readonly finalized?: ChainPoint;
}

/** Opens one connection, without waiting for it. */
export type Connect = (events: LinkEvents) => Link;

export interface FeedOptions {
  readonly name: string;
  readonly chain: Chain;
  readonly kind: FeedKind;
  /** Credentials redacted. */
  readonly url: string;
  readonly blockTimeSeconds: number;
  /** Silence after which the node is asked whether it stalled. Default: 30 block times, at least 30 s, at most 5 min. */
  readonly stallMs?: number;
  /** From the dial to `up`: connecting and shaking hands. */
  readonly openTimeoutMs?: number;
  /** One answer to `headersAfter` or `body`. */
  readonly requestTimeoutMs?: number;
  readonly backoff?: BackoffOptions;
}

export interface FeedModules {
  readonly connect: Connect;
  readonly sink: FeedSink;
  readonly breaker: Breaker;
  readonly clock: Clock;
  readonly random: Random;
  /** Called after each change of state, with what caused it. */
  readonly onState?: (feed: Feed, state: FeedState, reason: string) => void;
}

export const FEED_DEFAULTS = {
  openTimeoutMs: 15_000,
  requestTimeoutMs: 20_000,
  backoff: { baseMs: 250, capMs: 30_000 },
} as const;

/** A connection that lasted this long, or pushed a block, was a good one: the next delay starts from the base again. */
const LASTING_MS = 60_000;
/** Requests of one feed under way; more are refused with SPRINT_UPSTREAM_BUSY. */
const MAX_REQUESTS = 64;
/** Newest headers remembered, to tell a new announcement from a repeated one. */
const MAX_RECENT = 64;
const MAX_LOCATOR = 101;

/** What a refused or useless request says nothing about: the node's health. */
const NO_OPINION: ReadonlySet<string> = new Set([
  "SPRINT_UPSTREAM_NOT_FOUND",
  "SPRINT_UPSTREAM_BUSY",
  "SPRINT_UPSTREAM_UNSUPPORTED",
]);

/** Of an error with which a link is lost: the node's own words do not fit together. */
export const CONTRADICTION = "SPRINT_UPSTREAM_CONTRADICTION";

type Phase =
  | { readonly state: "idle" }
  | { readonly state: "down"; readonly cancel: Cancel }
  | { readonly state: "connecting"; readonly link: Link; readonly cancel: Cancel }
  | Up
  | { readonly state: "cordoned"; readonly reason: string; readonly cancel: Cancel }
  | { readonly state: "closed" };

interface Up {
  readonly state: "up";
  readonly link: Link;
  /** Aborted with the reason when the connection ends. */
  readonly abort: AbortController;
  readonly since: number;
  /** Requests under way of which the breaker was told nothing yet. */
  readonly calls: Set<Call>;
  cancelWatch: Cancel;
}

/** A call that the breaker let through. */
interface Call {
  readonly token: number;
  readonly at: number;
}

export function stallMsFor(blockTimeSeconds: number): number {
  return Math.min(300_000, Math.max(30_000, 30 * 1_000 * blockTimeSeconds));
}

export class LinkFeed implements Feed {
  readonly name: string;
  readonly chain: Chain;
  readonly kind: FeedKind;
  readonly #options: Required<FeedOptions>;
  readonly #modules: FeedModules;
  #phase: Phase = { state: "idle" };
  #started = false;
  #delayMs = 0;
  #connects = 0;
  #requests = 0;
  #agent: string | null = null;
  #height: number | null = null;
  #safe: ChainPoint | null = null;
  #finalized: ChainPoint | null = null;
  #lastProgressAt: number | null = null;
  #lastError: FeedStatus["lastError"] = null;
  /** The last locator that was asked with, for the watchdog's question. */
  #locator: readonly string[] = [];
  /** Locators of headers that came from this node, oldest first. */
  readonly #recent = new Set<string>();
  /** Links that were told to close and may still be at it. */
  readonly #closing = new Set<Promise<void>>();

  constructor(options: FeedOptions, modules: FeedModules) {
    this.#options = { stallMs: stallMsFor(options.blockTimeSeconds), ...FEED_DEFAULTS, ...options };
    this.#modules = modules;
    this.name = options.name;
    this.chain = options.chain;
    this.kind = options.kind;
  }

  start(): void {
    if (this.#started || this.#phase.state === "closed") return;
    this.#started = true;
    if (this.#phase.state === "idle") this.#dial();
  }

  async close(): Promise<void> {
    if (this.#phase.state !== "closed") {
      this.#leave(new SprintError("SPRINT_UPSTREAM_CLOSED", "this feed was closed"));
      this.#phase = { state: "closed" };
      this.#modules.onState?.(this, "closed", "closed");
    }
    await Promise.all(this.#closing);
  }

  cordon(reason: string, forMs: number): void {
    if (this.#phase.state === "closed") return;
    this.#leave(new SprintError("SPRINT_UPSTREAM_CORDONED", reason));
    if (this.#phase.state !== "idle") return;
    const cancel = Number.isFinite(forMs) ? this.#modules.clock.after(forMs, () => this.uncordon()) : () => {};
    this.#phase = { state: "cordoned", reason, cancel };
    this.#modules.onState?.(this, "cordoned", reason);
  }

  uncordon(): void {
    if (this.#phase.state !== "cordoned") return;
    this.#phase.cancel();
    this.#phase = { state: "idle" };
    this.#delayMs = 0;
    if (this.#started) this.#dial();
  }

  breakerMoved(): void {
    const { breaker } = this.#modules;
    const state = breaker.state();
    const isShut = state === "open" || state === "force_open";
    // That the breaker opened is not one more failure of the node.
    if (isShut) return this.#lose(tripped(this.name, state), IGNORED);
    if (this.#phase.state !== "down") return;
    this.#phase.cancel();
    this.#delayMs = 0;
    this.#dial();
  }

  headersAfter(locator: readonly string[], signal: AbortSignal): Promise<readonly Header[]> {
    this.#locator = locator;
    return this.#headersAfter(locator, signal);
  }

  body(locator: string, signal: AbortSignal): Promise<Uint8Array> {
    return this.#request("a block", signal, (link, either) => link.body(locator, either));
  }

  filters(range: FilterRange, signal: AbortSignal): Promise<FilterRun> {
    return this.#request("block filters", signal, async (link, either) => {
      if (link.filters !== undefined) return link.filters(range, either);
      throw unsupported(this.name, "block filters", "p2p://");
    });
  }

  mempool(signal: AbortSignal): Promise<MempoolFigures> {
    return this.#request("its mempool", signal, async (link, either) => {
      if (link.mempool !== undefined) return link.mempool(either);
      throw unsupported(this.name, "its mempool", "one with an RPC");
    });
  }

  status(): FeedStatus {
    const phase = this.#phase;
    return {
      name: this.name,
      chain: this.chain,
      kind: this.kind,
      url: this.#options.url,
      state: phase.state,
      agent: this.#agent,
      height: this.#height,
      lastProgressAt: this.#lastProgressAt,
      connects: this.#connects,
      lastError: this.#lastError,
      safe: this.#safe,
      finalized: this.#finalized,
      cordon: phase.state === "cordoned" ? { reason: phase.reason } : null,
    };
  }

  // --- the way to a connection ---

  #dial(): void {
    const { breaker, clock, connect } = this.#modules;
    const now = clock.now();
    const token = breaker.tryAcquire(now);
    if (token < 0) {
      this.#redialLater((breaker.probeAt() ?? now) - now, `its breaker is ${breaker.state()}`);
      return;
    }
    this.#tell({ token, at: now }, IGNORED);
    // What a former connection still has to say is not listened to.
    const current = () =>
      (this.#phase.state === "connecting" || this.#phase.state === "up") && this.#phase.link === link;
    const link = connect({
      up: () => current() && this.#becomeUp(),
      announce: (announcements) => current() && this.#announce(announcements),
      told: (facts) => current() && this.#told(facts),
      pending: (transactions) => current() && this.#modules.sink.pending?.(this, transactions),
      lost: (error) => current() && this.#lose(error),
    });
    const cancel = clock.after(this.#options.openTimeoutMs, () => this.#lose(openTimeout(this.#options)));
    this.#phase = { state: "connecting", link, cancel };
    this.#modules.onState?.(this, "connecting", "dialling");
  }

  #redialLater(atLeastMs: number, reason: string): void {
    const { clock, random } = this.#modules;
    this.#delayMs = nextDelayMs(this.#delayMs, this.#options.backoff, random);
    const cancel = clock.after(Math.max(atLeastMs, this.#delayMs), () => this.#dial());
    this.#phase = { state: "down", cancel };
    this.#modules.onState?.(this, "down", reason);
  }

  #becomeUp(): void {
    if (this.#phase.state !== "connecting") return;
    const { link, cancel } = this.#phase;
    cancel();
    this.#connects++;
    const since = this.#modules.clock.now();
    this.#phase = { state: "up", link, abort: new AbortController(), since, calls: new Set(), cancelWatch: () => {} };
    this.#watch(this.#phase);
    this.#modules.onState?.(this, "up", this.#agent ?? "connected");
    if (this.#phase.state === "up") this.#modules.sink.up(this);
  }

  #told(facts: Told): void {
    this.#agent = facts.agent ?? this.#agent;
    this.#height = facts.height ?? this.#height;
    this.#safe = facts.safe ?? this.#safe;
    if (facts.finalized === undefined) return;
    this.#finalized = facts.finalized;
    if (this.#phase.state === "up") this.#modules.sink.finalized?.(this, facts.finalized);
  }

  #lose(error: SprintError, outcome: OutcomeCode = FAILURE): void {
    const phase = this.#phase;
    if (phase.state !== "connecting" && phase.state !== "up") return;
    this.#lastError = { code: error.code, message: error.message };
    if (phase.state === "up" && this.#modules.clock.now() - phase.since >= LASTING_MS) this.#delayMs = 0;
    if (outcome === FAILURE)
      this.#tell(this.#failing(phase.state === "up" ? phase.calls : null), FAILURE, error.message);
    this.#leave(error);
    if (error.code === CONTRADICTION) this.#modules.sink.contradicted?.(this, error);
    // The sink may have cordoned or closed this feed when it heard of it.
    if (this.#phase.state === "idle") this.#redialLater(0, error.message);
  }

  /**
   * What fails with a connection: a call of its own, or, where the breaker lets no more through, the last that it did. Half-open it waits
   * for one answer; a node that hangs up instead of giving it would keep it waiting for ever.
   */
  #failing(calls: Up["calls"] | null): Call {
    const { breaker, clock } = this.#modules;
    const now = clock.now();
    const token = breaker.tryAcquire(now);
    const asked = token < 0 ? [...(calls ?? [])].findLast((call) => call.token > 0) : undefined;
    if (asked === undefined) return { token, at: now };
    calls?.delete(asked);
    return asked;
  }

  /** Ends whatever the present phase holds. The caller sets the next phase. */
  #leave(reason: SprintError): void {
    const phase = this.#phase;
    // From here on the old link is not current: what closing it stirs up is not heard.
    this.#phase = { state: "idle" };
    if (phase.state === "down" || phase.state === "cordoned") phase.cancel();
    if (phase.state !== "connecting" && phase.state !== "up") return;
    if (phase.state === "connecting") phase.cancel();
    const closed = phase.link.close();
    this.#closing.add(closed);
    void closed.finally(() => this.#closing.delete(closed));
    if (phase.state !== "up") return;
    phase.cancelWatch();
    phase.abort.abort(reason);
    this.#modules.sink.down(this, reason.message);
  }

  // --- while it is up ---

  #announce(announcements: readonly Announcement[]): void {
    const phase = this.#phase;
    if (phase.state !== "up" || announcements.length === 0) return;
    // First what a block is waited for, then the books.
    this.#modules.sink.announce(this, announcements);
    if (this.#phase !== phase) return;
    const fresh = announcements.filter(({ header }) => !this.#recent.has(header.locator));
    for (const { header } of fresh) this.#remember(header.locator);
    if (fresh.length > 0) {
      this.#lastProgressAt = this.#modules.clock.now();
      this.#delayMs = 0;
      this.#watch(phase);
      this.#pushed();
    }
  }

  #remember(locator: string): void {
    this.#recent.delete(locator);
    this.#recent.add(locator);
    if (this.#recent.size <= MAX_RECENT) return;
    for (const oldest of this.#recent) {
      this.#recent.delete(oldest);
      return;
    }
  }

  #watch(phase: Up): void {
    phase.cancelWatch();
    phase.cancelWatch = this.#modules.clock.after(this.#options.stallMs, () => void this.#askWhetherStalled(phase));
  }

  async #askWhetherStalled(phase: Up): Promise<void> {
    const progressAt = this.#lastProgressAt;
    const locator = [...[...this.#recent].reverse(), ...this.#locator].slice(0, MAX_LOCATOR);
    const unpushed = await this.#headersAfter(locator, phase.abort.signal).then(
      (headers) => headers.length,
      (error: unknown) => messageOf(error),
    );
    if (this.#phase !== phase || progressAt !== this.#lastProgressAt) return;
    if (unpushed === 0) this.#watch(phase);
    else this.#lose(stalled(this.#options, unpushed));
  }

  async #headersAfter(locator: readonly string[], signal: AbortSignal): Promise<readonly Header[]> {
    const headers = await this.#request("headers", signal, (link, either) => link.headersAfter(locator, either));
    const newest = headers.at(-1);
    if (newest !== undefined) this.#remember(newest.locator);
    return headers;
  }

  async #request<T>(
    what: string,
    signal: AbortSignal,
    ask: (link: Link, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const phase = this.#phase;
    const { clock, breaker } = this.#modules;
    if (phase.state !== "up") throw notUp(this.name, what, phase.state);
    if (this.#requests >= MAX_REQUESTS) throw busy(this.name, what, MAX_REQUESTS);
    const timeout = new AbortController();
    const cancel = clock.after(this.#options.requestTimeoutMs, () => timeout.abort(noAnswer(this.#options, what)));
    const either = AbortSignal.any([signal, phase.abort.signal, timeout.signal]);
    const now = clock.now();
    const call: Call = { token: breaker.tryAcquire(now), at: now };
    phase.calls.add(call);
    this.#requests++;
    try {
      const answer = await abortable(ask(phase.link, either), either);
      if (phase.calls.delete(call)) this.#tell(call, SUCCESS);
      return answer;
    } catch (error) {
      const blameless =
        signal.aborted || phase.abort.signal.aborted || (isSprintError(error) && NO_OPINION.has(error.code));
      if (!blameless)
        this.#lastError = {
          code: isSprintError(error) ? error.code : "SPRINT_UPSTREAM_FAILED",
          message: messageOf(error),
        };
      if (phase.calls.delete(call)) this.#tell(call, blameless ? IGNORED : FAILURE, messageOf(error));
      throw error;
    } finally {
      this.#requests--;
      cancel();
    }
  }

  /** A push is no call that could fail. But while the breaker tries the node out, a block from it is what it waits for. */
  #pushed(): void {
    const { breaker, clock } = this.#modules;
    if (breaker.state() !== "half_open") return;
    const now = clock.now();
    this.#tell({ token: breaker.tryAcquire(now), at: now }, SUCCESS);
  }

  /** What became of a call; one that the breaker would not have let through says nothing to it. */
  #tell({ token, at }: Call, outcome: OutcomeCode, error?: string): void {
    if (token < 0) return;
    const { breaker, clock } = this.#modules;
    const now = clock.now();
    breaker.onResult(token, outcome, now - at, now, outcome === FAILURE ? error : undefined);
  }
}

/** Settles with `promise`, or rejects with the signal's reason at once when it is aborted. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
