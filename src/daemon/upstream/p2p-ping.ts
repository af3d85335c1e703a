/** Pings of our own: TCP does not notice a line that swallows everything. */
import { randomBytes } from "node:crypto";
import type { Cancel, Clock } from "../../shared/clock.ts";
import { encodePing } from "../wire/index.ts";
import type { Send } from "./p2p-handshake.ts";

export interface PingerOptions {
  readonly pingEveryMs: number;
  readonly pongTimeoutMs: number;
}

export interface PingerModules {
  readonly clock: Clock;
  readonly send: Send;
  /** Whether a message is on its way whose last bytes came after `since` (monotonic ms). */
  readonly isArriving: (since: number) => boolean;
  readonly onTimeout: () => void;
}

/** Times that the pong may be late: it stands in line behind a large block on a slow line. */
const MAX_GRACE = 6;

export class Pinger {
  readonly #options: PingerOptions;
  readonly #modules: PingerModules;
  #nonce: bigint | null = null;
  #cancel: Cancel = () => {};

  constructor(options: PingerOptions, modules: PingerModules) {
    this.#options = options;
    this.#modules = modules;
  }

  start(): void {
    const { clock, send } = this.#modules;
    this.#nonce = null;
    this.#cancel();
    this.#cancel = clock.after(this.#options.pingEveryMs, () => {
      this.#nonce = randomBytes(8).readBigUInt64LE();
      this.#awaitPong(MAX_GRACE);
      send("ping", encodePing(this.#nonce));
    });
  }

  stop(): void {
    this.#cancel();
  }

  /** True where this pong answers our ping. */
  receive(nonce: bigint): boolean {
    if (nonce !== this.#nonce) return false;
    this.start();
    return true;
  }

  #awaitPong(grace: number): void {
    const { clock, isArriving, onTimeout } = this.#modules;
    const since = clock.now();
    this.#cancel = clock.after(this.#options.pongTimeoutMs, () => {
      if (grace > 0 && isArriving(since)) this.#awaitPong(grace - 1);
      else onTimeout();
    });
  }
}
