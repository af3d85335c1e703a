/** What a feed says when it cannot, or its node did not. */
import { SprintError } from "../../shared/errors.ts";
import type { BreakerCondition } from "../breaker/index.ts";
import type { FeedState } from "./types.ts";

export interface FeedLimits {
  readonly name: string;
  readonly url: string;
  readonly stallMs: number;
  readonly openTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

export function openTimeout(options: FeedLimits): SprintError {
  return new SprintError(
    "SPRINT_UPSTREAM_TIMEOUT",
    `Expected ${options.url} to answer and shake hands within ${options.openTimeoutMs} ms, it did not. Is the node running and its port open?`,
    { upstream: options.name, timeoutMs: options.openTimeoutMs },
  );
}

export function noAnswer(options: FeedLimits, what: string): SprintError {
  return new SprintError(
    "SPRINT_UPSTREAM_TIMEOUT",
    `Asked ${options.url} for ${what}, no answer within ${options.requestTimeoutMs} ms. A node that is still syncing answers nothing.`,
    { upstream: options.name, what, timeoutMs: options.requestTimeoutMs },
  );
}

export function stalled(options: FeedLimits, unpushed: number | string): SprintError {
  const found =
    typeof unpushed === "number" ? `${unpushed} newer blocks that it did not push` : `no answer (${unpushed})`;
  return new SprintError(
    "SPRINT_UPSTREAM_STALLED",
    `${options.url} pushed nothing new for ${options.stallMs} ms; asked, it gave ${found}. Connecting again.`,
    { upstream: options.name, stallMs: options.stallMs },
  );
}

export function notUp(name: string, what: string, state: FeedState): SprintError {
  return new SprintError(
    "SPRINT_UPSTREAM_DOWN",
    `Cannot ask ${name} for ${what}: it is ${state}. Ask another upstream.`,
    {
      upstream: name,
      state,
    },
  );
}

export function busy(name: string, what: string, maxRequests: number): SprintError {
  return new SprintError(
    "SPRINT_UPSTREAM_BUSY",
    `Cannot ask ${name} for ${what}: ${maxRequests} requests are under way already. Ask again later.`,
    { upstream: name, maxRequests },
  );
}

export function tripped(name: string, state: BreakerCondition): SprintError {
  const when = state === "open" ? "when the breaker lets a probe through" : "when an operator lets go of the breaker";
  return new SprintError(
    "SPRINT_UPSTREAM_BREAKER_OPEN",
    `The breaker of ${name} is ${state}: the connection was given up. It is dialled again ${when}.`,
    { upstream: name, state },
  );
}

export function unsupported(name: string, what: string, expected: string): SprintError {
  return new SprintError(
    "SPRINT_UPSTREAM_UNSUPPORTED",
    `Cannot ask ${name} for ${what}: expected an upstream that is ${expected}. Ask another one.`,
    { upstream: name },
  );
}
