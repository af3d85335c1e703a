/** A WebSocket client that records everything and checks the stream's promises; tests of every floor use it. */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import assert from "node:assert/strict";
import { WebSocket } from "ws";
import type { Chain } from "../../src/shared/chain.ts";
import type { BlockEvent, LogEntry, LogEvent, ReorgEvent, SprintEvent } from "../../src/shared/events.ts";

const PATIENCE_MS = 30_000;

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** The server answered the handshake with something else than 101. */
export class HandshakeRefused extends Error {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: {
    readonly error: {
      readonly code: string;
      readonly message: string;
      readonly details: Record<string, unknown>;
    };
  };

  constructor(response: IncomingMessage, body: string) {
    super(`handshake refused with ${response.statusCode}: ${body}`);
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    this.body = body.startsWith("{") ? JSON.parse(body) : { error: { code: "", message: body, details: {} } };
  }
}

export interface TestSubscriber {
  /** Every message so far, in order. */
  readonly events: readonly SprintEvent[];
  readonly checker: ChainChecker;
  /** Settles when the socket is closed, by whom ever. */
  readonly closed: Promise<Closed>;
  /** The cursor of the last event, null before the first. */
  readonly cursor: string | null;
  readonly socket: WebSocket;
  /** The next event not taken yet that fits; those before it are skipped. Rejects when the socket closes first. */
  next(fits?: (event: SprintEvent) => boolean): Promise<SprintEvent>;
  /** Stops reading: the server's buffers fill up. */
  pause(): void;
  resume(): void;
  close(): Promise<Closed>;
}

/** Opens `url` (http or ws; a bare origin gets `/ws/v1/events`) and resolves once the handshake is done. */
export async function subscribe(
  url: string,
  options: { checker?: ChainChecker; headers?: Record<string, string> } = {},
): Promise<TestSubscriber> {
  const target = new URL(url.replace(/^http/, "ws"));
  if (target.pathname === "/") target.pathname = "/ws/v1/events";
  const socket = new WebSocket(target, {
    perMessageDeflate: false,
    headers: options.headers ?? {},
  });
  const checker = options.checker ?? new ChainChecker();
  const events: SprintEvent[] = [];
  let taken = 0;
  let wake = Promise.withResolvers<void>();
  let isClosed = false;
  socket.on("message", (data) => {
    const event = JSON.parse(String(data)) as SprintEvent;
    events.push(event);
    checker.see(event);
    wake.resolve();
    wake = Promise.withResolvers();
  });
  const closed = new Promise<Closed>((resolve) => {
    socket.on("close", (code, reason) => {
      isClosed = true;
      resolve({ code, reason: String(reason) });
      wake.resolve();
    });
  });
  await new Promise<void>((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("error", reject);
    socket.on("unexpected-response", (_request, response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (body += chunk));
      response.on("end", () => reject(new HandshakeRefused(response, body)));
    });
  });

  return {
    events,
    checker,
    closed,
    socket,
    get cursor() {
      return events.at(-1)?.cursor ?? null;
    },
    async next(fits = () => true) {
      const deadline = Promise.withResolvers<never>();
      const timer = setTimeout(() => {
        const seen = events.map((event) => event.type).join(" ");
        deadline.reject(new Error(`no event that fits within ${PATIENCE_MS} ms; saw: ${seen}`));
      }, PATIENCE_MS);
      try {
        for (;;) {
          while (taken < events.length) {
            const event = events[taken++];
            if (event !== undefined && fits(event)) return event;
          }
          if (isClosed) throw new Error("the socket closed before an event that fits");
          await Promise.race([wake.promise, deadline.promise]);
        }
      } finally {
        clearTimeout(timer);
      }
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    async close() {
      if (!isClosed) {
        if (socket.readyState === WebSocket.CONNECTING) await once(socket, "open");
        socket.close(1000);
      }
      return closed;
    },
  };
}

/**
 * Holds a stream against its promises: no gap, no duplicate, parent before child, reorgs that fit; logs before their block's proof, once, and
 * taken back before it is reverted. Keep one across reconnects.
 */
export class ChainChecker {
  readonly violations: string[] = [];
  /** Events seen, of what was held against the promises. */
  readonly seen = { announced: 0, validated: 0, reorgs: 0, reverted: 0, logs: 0, removed: 0 };
  readonly #views = new Map<Chain, ChainView>();

  see(event: SprintEvent): void {
    if (event.type === "hello" || event.type === "goodbye") return;
    const view = this.#view(event.chain);
    if (event.type === "block") {
      if (event.phase === "announced") this.#announced(view, event);
      else this.#validated(view, event);
    } else if (event.type === "reorg") this.#reorg(view, event);
    else if (event.type === "log") this.#logs(view, event);
    else if (event.type === "gap" && event.data.reason !== "body_unavailable") {
      view.path = [];
      view.validated.clear();
      view.logs.clear();
    }
  }

  /** Hashes of the best chain as this stream told it, oldest first, from the first block heard (or the last gap). */
  path(chain: Chain): readonly string[] {
    return this.#view(chain).path;
  }

  tip(chain: Chain): string | null {
    return this.#view(chain).path.at(-1) ?? null;
  }

  /** Logs told and not taken back, by block. */
  logs(chain: Chain): ReadonlyMap<string, readonly LogEntry[]> {
    return this.#view(chain).logs;
  }

  /** The block was told as proved, and is on the best chain. */
  isValidated(chain: Chain, hash: string): boolean {
    return this.#view(chain).validated.has(hash);
  }

  assertClean(): void {
    assert.deepEqual(this.violations, []);
  }

  #view(chain: Chain): ChainView {
    let view = this.#views.get(chain);
    if (view === undefined) {
      view = { path: [], validated: new Set(), logs: new Map() };
      this.#views.set(chain, view);
    }
    return view;
  }

  #announced(view: ChainView, event: BlockEvent): void {
    const { hash, parent_hash: parent, height } = event.data;
    const tip = view.path.at(-1);
    this.seen.announced++;
    if (view.path.includes(hash)) this.#violation(event, `${height} ${hash} a second time`);
    else if (tip !== undefined && parent !== tip) {
      this.#violation(event, `${height} ${hash} builds on ${parent}, but the last block told is ${tip}`);
    }
    view.path.push(hash);
  }

  #validated(view: ChainView, event: BlockEvent): void {
    const { hash, height } = event.data;
    this.seen.validated++;
    if (view.validated.has(hash)) this.#violation(event, `${height} ${hash} validated a second time`);
    view.validated.add(hash);
  }

  #reorg(view: ChainView, event: ReorgEvent): void {
    const { reverted, common_ancestor: ancestor, depth } = event.data;
    this.seen.reorgs++;
    this.seen.reverted += depth;
    if (reverted.length !== depth) this.#violation(event, `depth ${depth}, but ${reverted.length} blocks reverted`);
    for (const block of reverted) {
      const tip = view.path.pop();
      if (tip !== undefined && tip !== block.hash)
        this.#violation(event, `reverts ${block.hash} while the tip is ${tip}`);
      view.validated.delete(block.hash);
      if (view.logs.delete(block.hash)) this.#violation(event, `reverts ${block.hash} whose logs were not taken back`);
    }
    const tip = view.path.at(-1);
    if (tip === undefined) view.path.push(ancestor.hash);
    else if (tip !== ancestor.hash)
      this.#violation(event, `goes back to ${ancestor.hash}, but the block before is ${tip}`);
  }

  #logs(view: ChainView, event: LogEvent): void {
    const { block_hash: hash, height, removed, logs } = event.data;
    if (removed) {
      this.seen.removed += logs.length;
      const told = view.logs.get(hash);
      if (told === undefined) this.#violation(event, `takes back logs of ${height} ${hash} that were not told`);
      else if (JSON.stringify(told) !== JSON.stringify(logs))
        this.#violation(event, `takes back other logs of ${hash}`);
      view.logs.delete(hash);
      return;
    }
    this.seen.logs += logs.length;
    if (view.logs.has(hash)) this.#violation(event, `logs of ${height} ${hash} a second time`);
    if (view.validated.has(hash)) this.#violation(event, `logs of ${height} ${hash} after its proof`);
    if (!view.path.includes(hash)) this.#violation(event, `logs of ${height} ${hash}, which was not announced`);
    view.logs.set(hash, logs);
  }

  #violation(event: SprintEvent, text: string): void {
    this.violations.push(`${event.type} ${"chain" in event ? event.chain : ""} ${text}`);
  }
}

interface ChainView {
  path: string[];
  readonly validated: Set<string>;
  readonly logs: Map<string, readonly LogEntry[]>;
}
