/** Why and when a running daemon ends: a signal, an order over the control API, a key, a reader of its output that left. */
import { constants } from "node:os";
import { EXIT } from "../../shared/cli.ts";

export interface StopReason {
  readonly text: string;
  readonly exitCode: number;
}

/** npm hands a Ctrl-C on to a child that the terminal has already told: within this time it is the same one. */
const SAME_PRESS_MS = 200;

export interface Stopping {
  /** Resolves with the first reason. */
  readonly requested: Promise<StopReason>;
  request(reason: StopReason): void;
  /** A signal, or the key that stands for one. The second interrupt ends the process at once. */
  signal(name: NodeJS.Signals): void;
  /** Takes the signal handlers away. */
  dispose(): void;
}

export interface StoppingModules {
  /** For the second Ctrl-C. */
  readonly exitNow: (code: number) => void;
  /** Monotonic ms. */
  readonly now: () => number;
  /** For SIGHUP where that is no reason to end; null: a terminal was closed, and it is. */
  readonly onHangup: (() => void) | null;
}

export function watchForStop({ exitNow, now: readNow, onHangup }: StoppingModules): Stopping {
  const { promise, resolve } = Promise.withResolvers<StopReason>();
  let interruptedAt: number | null = null;

  const signal = (name: NodeJS.Signals): void => {
    if (name === "SIGHUP" && onHangup !== null) return onHangup();
    const exitCode = 128 + constants.signals[name];
    if (name === "SIGINT") {
      const now = readNow();
      if (interruptedAt !== null && now - interruptedAt > SAME_PRESS_MS) exitNow(exitCode);
      interruptedAt ??= now;
    }
    resolve({ text: name, exitCode });
  };
  const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of names) process.on(name, signal);
  return {
    requested: promise,
    request: resolve,
    signal,
    dispose() {
      for (const name of names) process.off(name, signal);
    },
  };
}

export const STOP_BY_ORDER: StopReason = { text: "an operator's order", exitCode: EXIT.DONE };
export const STOP_BY_KEY: StopReason = { text: "q", exitCode: EXIT.DONE };
export const STOP_BY_READER: StopReason = { text: "the reader of standard output left", exitCode: EXIT.DONE };
