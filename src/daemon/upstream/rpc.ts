/**
 * A node over RPC alone. New tips come by `waitfornewblock` where the node has it, else by asking for the best hash every
 * now and then.
 *
 * `waitfornewblock` tells only of what happens while it waits: a block between two waits would be told by the next one
 * after it. So each wait is under way before the best hash is asked for once more.
 */
import type { Clock } from "../../shared/clock.ts";
import { isSprintError, messageOf, SprintError } from "../../shared/errors.ts";
import { type FeedModules, type FeedOptions, type Link, type LinkEvents, LinkFeed } from "./feed.ts";
import { TipFollower } from "./follow.ts";
import { RpcClient } from "./jsonrpc.ts";
import { type HeaderCodec, RpcNode, type Tip } from "./rpc-node.ts";
import type { Feed, MempoolFigures } from "./types.ts";
import { type RpcAddress, rpcOrigin, type RpcUpstreamAddress } from "./url.ts";

export interface RpcFeedOptions extends Pick<
  FeedOptions,
  "name" | "stallMs" | "openTimeoutMs" | "requestTimeoutMs" | "backoff"
> {
  readonly address: RpcUpstreamAddress;
  /** Between two looks at a node without `waitfornewblock`; each is up to a quarter shorter or longer. */
  readonly pollMs?: number;
  /** Longest single `waitfornewblock`. */
  readonly longPollMs?: number;
}

export interface RpcFeedModules extends Omit<FeedModules, "connect"> {
  readonly codec: HeaderCodec;
}

export const RPC_DEFAULTS = { pollMs: 1000, longPollMs: 10_000, timeoutMs: 15_000 } as const;
/** A node, or a proxy before it, that cuts even shorter waits is polled instead. */
const SHORTEST_LONG_POLL_MS = 500;

export function createRpcFeed(options: RpcFeedOptions, modules: RpcFeedModules): Feed {
  const { address } = options;
  const { chain, params } = modules.codec;
  const settings = { ...RPC_DEFAULTS, ...options };
  const connect = (events: LinkEvents): Link => new RpcLink(settings, modules, events);
  const { blockTimeSeconds } = params;
  return new LinkFeed(
    { ...options, chain, kind: "rpc", url: address.display, blockTimeSeconds },
    { ...modules, connect },
  );
}

type Settings = RpcFeedOptions & { readonly pollMs: number; readonly longPollMs: number };

/** A client and a node for one address; the caller closes the client. */
export function openRpcNode(
  address: RpcAddress,
  modules: { readonly codec: HeaderCodec; readonly clock: Clock },
): { readonly client: RpcClient; readonly node: RpcNode } {
  const { codec, clock } = modules;
  const client = new RpcClient(
    {
      origin: rpcOrigin(address, codec.params.rpcPort),
      path: address.path,
      auth: address.auth,
      timeoutMs: RPC_DEFAULTS.timeoutMs,
    },
    { clock },
  );
  return { client, node: new RpcNode({}, { client, codec, clock }) };
}

class RpcLink implements Link {
  readonly #settings: Settings;
  readonly #modules: RpcFeedModules;
  readonly #events: LinkEvents;
  readonly #client: RpcClient;
  readonly #node: RpcNode;
  readonly #follower: TipFollower;
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;

  constructor(settings: Settings, modules: RpcFeedModules, events: LinkEvents) {
    this.#settings = settings;
    this.#modules = modules;
    this.#events = events;
    const { client, node } = openRpcNode(settings.address.rpc, modules);
    this.#client = client;
    this.#node = node;
    this.#follower = new TipFollower(
      { via: "rpc" },
      {
        node,
        clock: modules.clock,
        announce: (announcements, height) => {
          if (height !== null) events.told({ height });
          events.announce(announcements);
        },
      },
    );
    this.#ended = this.#run();
  }

  headersAfter(...[locator, signal]: Parameters<Link["headersAfter"]>): ReturnType<Link["headersAfter"]> {
    return this.#node.headersAfter(locator, signal);
  }

  body(hash: string, signal: AbortSignal): Promise<Uint8Array> {
    return this.#node.body(hash, signal);
  }

  mempool(signal: AbortSignal): Promise<MempoolFigures> {
    return this.#node.mempool(signal);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#client.close();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    try {
      const tip = await this.#node.identify(signal);
      const agent = await this.#node.agent(signal);
      this.#follower.startAt(tip);
      this.#events.told({ height: tip.height, ...(agent === null ? {} : { agent }) });
      this.#events.up();
      await this.#watchByLongPoll(signal);
      await this.#watchByPolling(signal);
    } catch (error) {
      if (!signal.aborted) this.#events.lost(asLost(error));
    }
  }

  /** Returns when the node cannot be waited on. Throws when it does not answer any more. */
  async #watchByLongPoll(signal: AbortSignal): Promise<void> {
    let { longPollMs } = this.#settings;
    let told: string | null = null;
    while (longPollMs >= SHORTEST_LONG_POLL_MS) {
      const waiting = settled(this.#node.waitForNewBlock(longPollMs, signal));
      if (told !== null) await this.#follower.advance(told, signal);
      await this.#follower.advance(await this.#node.bestHash(signal), signal);
      const result = await waiting;
      signal.throwIfAborted();
      if (result.ok) {
        told = result.tip.hash;
      } else {
        if (!isSprintError(result.error)) throw result.error;
        if (!WAIT_WAS_CUT.has(result.error.code)) return;
        // Whether the node itself is gone shows at the next question.
        told = null;
        longPollMs /= 2;
      }
    }
  }

  async #watchByPolling(signal: AbortSignal): Promise<never> {
    const { clock, random } = this.#modules;
    for (;;) {
      await this.#follower.advance(await this.#node.bestHash(signal), signal);
      await pause(this.#settings.pollMs * (0.75 + random() / 2), clock, signal);
    }
  }
}

/** What a server or proxy with a time-out of its own does to a wait. Anything else means that the method is not there. */
const WAIT_WAS_CUT: ReadonlySet<string> = new Set([
  "SPRINT_RPC_UNREACHABLE",
  "SPRINT_RPC_TIMEOUT",
  "SPRINT_RPC_STATUS",
  "SPRINT_RPC_UNAVAILABLE",
]);

type Waited = { readonly ok: true; readonly tip: Tip } | { readonly ok: false; readonly error: unknown };

/** A promise that may be left alone for a while without counting as unhandled. */
function settled(promise: Promise<Tip>): Promise<Waited> {
  return promise.then(
    (tip) => ({ ok: true, tip }),
    (error: unknown) => ({ ok: false, error }),
  );
}

/** Rejects with the signal's reason. */
export function pause(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      cancel();
      reject(signal.reason as Error);
    };
    const cancel = clock.after(ms, () => {
      signal.removeEventListener("abort", stop);
      resolve();
    });
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** `lost` takes SprintErrors; anything else that comes here is a mistake of ours, and says so. */
export function asLost(error: unknown): SprintError {
  if (isSprintError(error)) return error;
  return new SprintError("SPRINT_UPSTREAM_FAILED", `unexpected: ${messageOf(error)}`, {}, { cause: error });
}
