/** The error shape of every listener: `{"error":{"code","message","details"}}`. */
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { FastifyError } from "fastify";
import type { ErrorBody } from "../../shared/api.ts";
import { redactText, redactValue } from "../../shared/redact.ts";
import { SprintError, isSprintError, type ErrorCode, type ErrorData } from "../../shared/errors.ts";
import { statusOf } from "./codes.ts";

export interface Failure {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ErrorBody;
}

/** What a client is told of `error`. The text of an unexpected error stays inside: it may hold anything. */
export function failureOf(error: unknown): Failure {
  if (isSprintError(error)) {
    const status = statusOf(error.code);
    if (status !== undefined)
      return { status, headers: headersOf(error), body: errorBody(error.code, error.message, error.data) };
  }
  const known = fromFramework(error);
  if (known !== null) return failureOf(known);
  return {
    status: 500,
    headers: {},
    body: errorBody("SPRINT_API_INTERNAL", "the daemon failed to answer; its log says why"),
  };
}

/** `data.retryAfterSeconds` becomes the header that clients obey; a 401 names the scheme (RFC 9110, section 15.5.2). */
function headersOf({ code, data }: SprintError): Record<string, string> {
  const seconds = data["retryAfterSeconds"];
  if (typeof seconds === "number") return { "retry-after": String(seconds) };
  return statusOf(code) === 401 ? { "www-authenticate": "Bearer" } : {};
}

/** True for errors that are ours and belong in the log. */
export function isOurFault(error: unknown): boolean {
  return failureOf(error).status === 500;
}

export function errorBody(code: ErrorCode, message: string, details: ErrorData = {}): ErrorBody {
  return { error: { code, message: redactText(message), details: redactValue(details) as ErrorData } };
}

/** Answers an HTTP request whose socket is ours alone (an upgrade, or bytes that are no HTTP), and closes it. */
export function refuseSocket(socket: Duplex, error: unknown): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { status, headers, body } = failureOf(error);
  const text = JSON.stringify(body);
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Error"}`,
    "Connection: close",
    "Content-Type: application/json; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(text)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.once("finish", () => socket.destroy());
  socket.end(`${lines.join("\r\n")}\r\n\r\n${text}`);
}

function fromFramework(error: unknown): SprintError | null {
  const { code, message, statusCode } = error as Partial<FastifyError>;
  switch (code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new SprintError("SPRINT_API_BODY_TOO_LARGE", "the request body is larger than this listener takes");
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new SprintError("SPRINT_API_MEDIA_TYPE", "expected a body of content-type application/json");
    case "FST_ERR_CTP_EMPTY_JSON_BODY":
    case "FST_ERR_CTP_INVALID_JSON_BODY":
      return new SprintError("SPRINT_API_BAD_JSON", "expected a JSON body, and the bytes that came are none");
    case "HPE_HEADER_OVERFLOW":
      return new SprintError(
        "SPRINT_API_HEADERS_TOO_LARGE",
        "the request's headers are larger than this listener takes",
      );
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new SprintError("SPRINT_API_TIMEOUT", "the request was not complete in time");
    default: {
      const isTheirs =
        code?.startsWith("HPE_") === true || (statusCode !== undefined && statusCode >= 400 && statusCode < 500);
      return isTheirs
        ? new SprintError("SPRINT_API_BAD_REQUEST", `not a request that can be answered: ${message}`)
        : null;
    }
  }
}
