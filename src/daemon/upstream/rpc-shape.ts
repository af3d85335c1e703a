/** Looking into answers whose shape is the node's word only. */
import { SprintError } from "../../shared/errors.ts";

/** Undefined where `value` is no object, or has no such member. */
export function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

export function wrongShape(method: string, expected: string, value: unknown): SprintError {
  const got = (JSON.stringify(value) ?? "nothing").slice(0, 80);
  return new SprintError("SPRINT_RPC_SHAPE", `${method}: expected ${expected}, got ${got}`, { method, got });
}
