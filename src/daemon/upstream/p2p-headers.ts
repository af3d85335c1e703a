/**
 * `getheaders` and the `headers` that answer it, told apart from those that the peer sends on its own.
 *
 * The protocol has no request ids. One `getheaders` is out at a time, and its answer is the next `headers` that is empty or
 * whose first header's parent is in our locator: an answer always starts behind a block of the locator, and nodes answer in
 * order. An announcement that looks the same (the next block, while we ask with our tip) carries the headers asked for, so
 * taking it for the answer loses nothing: what else the node has comes as the true answer, which then counts as announced.
 *
 * Our locators end with the genesis block, so a node of our chain always finds one of its hashes. An answer that starts
 * elsewhere is another chain's: the three regtest networks share their magic, and only this tells them apart.
 */
import { SprintError } from "../../shared/errors.ts";
import type { UtxoHeader } from "../chain/index.ts";
import { MAX_LOCATOR, NO_STOP, encodeGetHeaders } from "../wire/index.ts";
import type { Send } from "./p2p-handshake.ts";

interface Ask {
  readonly locator: readonly string[];
  readonly resolve: (headers: readonly UtxoHeader[]) => void;
}

export interface HeaderAsksOptions {
  readonly url: string;
  readonly protocolVersion: number;
}

export class HeaderAsks {
  readonly #options: HeaderAsksOptions;
  readonly #send: Send;
  /** The first is out, the others wait. Bounded by the feed's bound on requests. */
  readonly #asks: Ask[] = [];
  #proved = false;

  constructor(options: HeaderAsksOptions, send: Send) {
    this.#options = options;
    this.#send = send;
  }

  /** An answer is awaited. */
  get waiting(): boolean {
    return this.#asks.length > 0;
  }

  /** Rejects with the signal's reason when it is aborted; the next in line then goes out. */
  ask(locator: readonly string[], signal: AbortSignal): Promise<readonly UtxoHeader[]> {
    return new Promise((resolve, reject) => {
      const ask: Ask = {
        locator: locator.slice(0, MAX_LOCATOR),
        resolve: (headers) => {
          signal.removeEventListener("abort", onAbort);
          resolve(headers);
        },
      };
      const onAbort = () => {
        const at = this.#asks.indexOf(ask);
        this.#asks.splice(at, 1);
        if (at === 0) this.#sendFirst();
        reject(signal.reason as Error);
      };
      if (signal.aborted) return reject(signal.reason as Error);
      signal.addEventListener("abort", onAbort, { once: true });
      this.#asks.push(ask);
      if (this.#asks.length === 1) this.#sendFirst();
    });
  }

  /** True where `headers` was an answer and is dealt with; false where it is an announcement. Throws
   *  SPRINT_UPSTREAM_WRONG_NETWORK and SPRINT_P2P_MALFORMED. */
  receive(headers: readonly UtxoHeader[]): boolean {
    checkContinuous(headers);
    const first = headers[0];
    const ask = this.#asks[0];
    if (ask === undefined) return false;
    if (first !== undefined) {
      const linked = ask.locator.includes(first.parentHash);
      if (!linked && !this.#proved) throw wrongChain(this.#options.url, first.parentHash, ask.locator.at(-1));
      if (!linked) return false;
      this.#proved = true;
    }
    this.#asks.shift();
    ask.resolve(headers);
    this.#sendFirst();
    return true;
  }

  #sendFirst(): void {
    const ask = this.#asks[0];
    if (ask === undefined) return;
    const { protocolVersion: version } = this.#options;
    this.#send("getheaders", encodeGetHeaders({ version, locator: ask.locator, stop: NO_STOP }));
  }
}

function checkContinuous(headers: readonly UtxoHeader[]): void {
  let parent: UtxoHeader | null = null;
  for (const header of headers) {
    if (parent !== null && header.parentHash !== parent.hash) {
      throw new SprintError(
        "SPRINT_P2P_MALFORMED",
        `Expected each header of a "headers" message to follow the one before: ${parent.hash} was followed by a child of ${header.parentHash}.`,
        { expected: parent.hash, got: header.parentHash },
      );
    }
    parent = header;
  }
}

function wrongChain(url: string, got: string, genesis: string | undefined): SprintError {
  return new SprintError(
    "SPRINT_UPSTREAM_WRONG_NETWORK",
    `${url} is on another chain or network: asked for the headers after one of ours (last in the list: ${genesis ?? "none"}), it answered with children of ${got}, which is none of them. Check address, port and network of this upstream.`,
    { url, genesis, got },
  );
}
