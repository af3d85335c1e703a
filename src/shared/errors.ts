/** Every error that leaves this program carries a stable code, a sentence that helps, and the facts behind it. */

export type ErrorCode = `SPRINT_${string}`;

export interface ErrorData {
  readonly [fact: string]: unknown;
}

export class SprintError extends Error {
  readonly code: ErrorCode;
  readonly data: ErrorData;

  /** `message` says what was expected, what came and what to do; `data` holds the same as fields. */
  constructor(code: ErrorCode, message: string, data: ErrorData = {}, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "SprintError";
    this.code = code;
    this.data = data;
  }
}

export function isSprintError(error: unknown): error is SprintError {
  return error instanceof SprintError;
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
