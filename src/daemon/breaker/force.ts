/** Who holds which breaker open or closed, why, and until when. Rare, so objects in a map and not columns. */
import { SprintError } from "../../shared/errors.ts";
import type { Force } from "./machine.ts";

type ForceSide = "open" | "close";

export interface ForceBy {
  readonly owner: string;
  readonly reason: string;
  /** Until released where absent. */
  readonly forMs?: number;
}

export class Forces {
  readonly #held = new Map<number, { open: Force | null; close: Force | null }>();

  /** Throws SPRINT_BREAKER_FORCE that names the field. */
  hold(row: number, side: ForceSide, by: ForceBy, now: number): void {
    const { owner, reason, forMs } = by;
    for (const [field, text] of [
      ["owner", owner],
      ["reason", reason],
    ] as const) {
      if (typeof text !== "string" || text.length === 0 || text.length > 200)
        throw wrong(field, "1 to 200 characters", text);
    }
    if (forMs !== undefined && !(forMs > 0 && Number.isFinite(forMs)))
      throw wrong("forMs", "more than 0 and finite", forMs);
    if (!Number.isFinite(now)) throw wrong("now", "a finite monotonic time", now);
    const held = this.#held.get(row) ?? { open: null, close: null };
    held[side] = { owner, reason, until: forMs === undefined ? null : now + forMs };
    this.#held.set(row, held);
  }

  of(row: number, side: ForceSide): Force | null {
    return this.#held.get(row)?.[side] ?? null;
  }

  release(row: number, side: ForceSide): void {
    const held = this.#held.get(row);
    if (held === undefined) return;
    held[side] = null;
    if (held.open === null && held.close === null) this.#held.delete(row);
  }

  clear(row: number): void {
    this.#held.delete(row);
  }

  expire(row: number, now: number): void {
    for (const side of ["open", "close"] as const) {
      const until = this.of(row, side)?.until ?? null;
      if (until !== null && now >= until) this.release(row, side);
    }
  }

  remaining(row: number, side: ForceSide, now: number): ForceBy | null {
    const force = this.of(row, side);
    if (force === null) return null;
    const { owner, reason, until } = force;
    return until === null ? { owner, reason } : { owner, reason, forMs: Math.max(1, until - now) };
  }
}

function wrong(field: string, expected: string, actual: unknown): SprintError {
  return new SprintError("SPRINT_BREAKER_FORCE", `force: expected ${field} to be ${expected}, got ${String(actual)}`, {
    field,
    expected,
    actual,
  });
}
