/** What outlives a restart: plain JSON with remaining durations, never with moments of a clock that is gone. */
import { SprintError } from "../../shared/errors.ts";
import type { ForceBy } from "./force.ts";

export interface SavedBreaker {
  readonly version: 1;
  readonly key: string;
  /** Below the forces. */
  readonly state: "closed" | "open" | "half_open";
  readonly probeInMs: number;
  readonly backoffMs: number;
  readonly outageMs: number;
  readonly openings: number;
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
}

function wrong(field: string, expected: string, actual: unknown): SprintError {
  return new SprintError("SPRINT_BREAKER_STATE", `state: expected ${field} to be ${expected}, got ${String(actual)}`, {
    field,
    expected,
    actual,
  });
}
