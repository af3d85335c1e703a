import type { ErrorCode, ErrorData } from "../../shared/errors.ts";
import type { Refusal } from "./types.ts";

/** "Expected X, got Y" as a sentence and as fields, so that both say the same. */
export function refuse(
  code: ErrorCode,
  what: string,
  expected: string | number,
  actual: string | number,
  data: ErrorData = {},
): Refusal {
  return { code, message: `${what}: expected ${expected}, got ${actual}`, data: { expected, actual, ...data } };
}
