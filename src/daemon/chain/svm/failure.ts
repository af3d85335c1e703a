import { type ErrorCode, type ErrorData, isSprintError, SprintError } from "../../../shared/errors.ts";
import { refuse } from "../refusal.ts";
import type { Refusal } from "../types.ts";

/** To be thrown from the depth of a decoder; `attempt` at its door makes a refusal of it again. */
export function failure(
  code: ErrorCode,
  what: string,
  expected: string | number,
  actual: string | number,
  data: ErrorData = {},
): SprintError {
  const { message, data: facts } = refuse(code, what, expected, actual, data);
  return new SprintError(code, message, facts);
}

export type Attempt<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal };

/** The result of `work`, or the refusal that it threw; other errors are bugs and go on. */
export function attempt<T>(work: () => T): Attempt<T> {
  try {
    return { ok: true, value: work() };
  } catch (error) {
    if (!isSprintError(error)) throw error;
    return { ok: false, refusal: { code: error.code, message: error.message, data: error.data } };
  }
}

/** The same failure with the place where it was found before its words. */
export function failureIn(place: string, { code, message, data }: Refusal, more: ErrorData): SprintError {
  return new SprintError(code, `${place}, ${message}`, { ...data, ...more });
}
