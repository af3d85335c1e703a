/** Connections to a daemon, and what it means when there is none. */
import { Value } from "typebox/value";
import { WebSocket } from "ws";
import { ErrorBody } from "./api.ts";
import { SprintError, messageOf } from "./errors.ts";

export const REQUEST_TIMEOUT_MS = 10_000;
/** Above one event, also one with all the logs of a block that is full of them (60 million gas buy 15 MB of hex); a server that sends more is none of ours. */
const MAX_MESSAGE_BYTES = 64 << 20;

/** Resolves when the handshake is done. Throws SPRINT_CLIENT_*; `data.retry` says whether coming back makes sense. */
export function openSocket(
  url: URL,
  onMessage: (text: string) => void,
  headers: Record<string, string> = {},
): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, {
      headers,
      perMessageDeflate: false,
      handshakeTimeout: REQUEST_TIMEOUT_MS,
      maxPayload: MAX_MESSAGE_BYTES,
    });
    // Before the handshake is done: the first message may come in the same read as the answer to it.
    socket.on("message", (data) => onMessage(String(data)));
    socket.once("open", () => resolve(socket));
    const onError = (error: Error): void => reject(unreachable(url.origin, error));
    socket.on("error", onError);
    socket.once("unexpected-response", (_request, response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        if (text.length < MAX_MESSAGE_BYTES) text += chunk;
      });
      response.on("end", () => reject(refusal(url.origin, response.statusCode ?? 0, text)));
      response.on("error", onError);
    });
  });
}

export function unreachable(url: string, cause: unknown): SprintError {
  const { name, cause: inner } = cause as { name?: string; cause?: unknown };
  if (name === "TimeoutError") {
    return new SprintError(
      "SPRINT_CLIENT_TIMEOUT",
      `${url} did not answer within ${REQUEST_TIMEOUT_MS / 1000} s`,
      { url },
      { cause },
    );
  }
  const why = messageOf(inner ?? cause);
  return new SprintError(
    "SPRINT_CLIENT_UNREACHABLE",
    `${url} cannot be reached (${why}); is the daemon running?`,
    { url },
    { cause },
  );
}

export function refusal(url: string, status: number, text: string): SprintError {
  const told = parseError(text);
  const reason = told?.message ?? `HTTP ${status}`;
  const retry = status === 408 || status === 429 || status >= 500 || status === 0;
  const data = { url, status, retry, ...(told === null ? {} : { reason: told.code, details: told.details }) };
  if (status === 401 || status === 403) {
    const what = status === 401 ? "did not let us in" : "does not allow that";
    return new SprintError("SPRINT_CLIENT_NOT_ALLOWED", `${url} ${what}: ${reason}`, data);
  }
  return new SprintError("SPRINT_CLIENT_REFUSED", `${url} refused: ${reason}`, data);
}

function parseError(text: string): ErrorBody["error"] | null {
  try {
    const body: unknown = JSON.parse(text);
    return Value.Check(ErrorBody, body) ? body.error : null;
  } catch {
    return null;
  }
}
