/** Why a call has no answer. The floor above maps the codes to a status: 502, 503 or 504. */
import { type ErrorCode, SprintError } from "../../shared/errors.ts";
import { headerOf, type Trail } from "./trail.ts";

/** What stood in the way, the most telling first. */
export function problemOf(trail: Trail, now: number): SprintError {
  if (trail.saw("too_large"))
    return problem("TOO_LARGE", "the answer is larger than this proxy passes on; ask for less", trail, null);
  if (trail.saw("behind")) {
    const message = "every upstream that could answer is behind the block that was announced last; ask again";
    return problem("BEHIND", message, trail, 1);
  }
  if (trail.attempts > 0) {
    return trail.saw("timeout")
      ? problem("TIMEOUT", "no upstream answered in time; x-sprint-tried says who was asked", trail, null)
      : problem("FAILED", "no upstream could answer; x-sprint-tried says who was asked", trail, null);
  }
  if (trail.saw("busy"))
    return problem("BUSY", "as many calls are under way at the upstreams as they take; ask again", trail, 1);
  if (trail.saw("open") || trail.saw("forced")) {
    const seconds = trail.probeAt === null ? 1 : Math.max(1, Math.ceil((trail.probeAt - now) / 1_000));
    return problem("OPEN", "the breakers of all upstreams are open: they failed a moment ago", trail, seconds);
  }
  const advice = "an upstream of http:// has one, p2p:// and zmq+tcp:// where their URL says rpc=";
  return problem("NO_UPSTREAM", `no upstream of this chain that is on has a JSON-RPC address; ${advice}`, trail, null);
}

function problem(what: string, message: string, trail: Trail, retryAfterSeconds: number | null): SprintError {
  const code: ErrorCode = `SPRINT_PROXY_${what}`;
  const tried = trail.steps.length === 0 ? {} : { tried: headerOf(trail.steps) };
  return new SprintError(code, message, { ...tried, ...(retryAfterSeconds === null ? {} : { retryAfterSeconds }) });
}

/** More requests than one proxy takes at a time. */
export function tooManyRequests(limit: number): SprintError {
  const message = `expected at most ${limit} requests under way, and so many are; ask again`;
  return new SprintError("SPRINT_PROXY_BUSY", message, { limit, retryAfterSeconds: 1 });
}

export function closed(): SprintError {
  return new SprintError("SPRINT_PROXY_CLOSED", "this daemon is stopping", {});
}
