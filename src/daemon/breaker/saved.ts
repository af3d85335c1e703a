/** What outlives a restart: plain JSON with remaining durations, never with moments of a clock that is gone. */
import { SprintError } from "../../shared/errors.ts";
import type { ForceBy } from "./force.ts";
import type { SavedOutages } from "./outages.ts";

export interface SavedBreaker {
  readonly version: 1;
  readonly key: string;
  /** Below the forces. */
  readonly state: "closed" | "open" | "half_open";
  readonly probeInMs: number;
  readonly backoffMs: number;
  readonly outageMs: number;
  readonly openings: number;
  /** How long they were, and the suspicion that the last one left; null before the first. */
  readonly outages: SavedOutages | null;
  readonly forceOpen: ForceBy | null;
  readonly forceClose: ForceBy | null;
}

/** Throws SPRINT_BREAKER_STATE that names the field. */
export function checkSaved(state: SavedBreaker): void {
  if (state.version !== 1) throw wrong("version", "1", state.version);
  if (typeof state.key !== "string" || state.key.length === 0) throw wrong("key", "a name", state.key);
  if (!["closed", "open", "half_open"].includes(state.state))
    throw wrong("state", "closed, open or half_open", state.state);
  for (const field of ["probeInMs", "backoffMs", "outageMs", "openings"] as const) {
    const actual = state[field];
    if (!(typeof actual === "number" && actual >= 0 && Number.isFinite(actual)))
      throw wrong(field, "0 or more", actual);
  }
  if (!isOutages(state.outages)) throw wrong("outages", "null, or usualMs, healthyMs and sure", state.outages);
}

function isOutages(outages: SavedOutages | null): boolean {
  if (outages === null) return true;
  if (typeof outages !== "object") return false;
  const isDuration = (ms: unknown): boolean => typeof ms === "number" && ms >= 0 && Number.isFinite(ms);
  const { usualMs, healthyMs, sure } = outages;
  return isDuration(usualMs) && (healthyMs === null || isDuration(healthyMs)) && typeof sure === "boolean";
}

function wrong(field: string, expected: string, actual: unknown): SprintError {
  return new SprintError("SPRINT_BREAKER_STATE", `state: expected ${field} to be ${expected}, got ${String(actual)}`, {
    field,
    expected,
    actual,
  });
}
