/** The opening handshake of RFC 6455, section 4.2.1, checked before anything is promised to the client. */
import { SprintError } from "../../shared/errors.ts";

/** What the answer to a handshake depends on; plain, so that it can be sent to another process. */
export interface Handshake {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

const KEY = /^[+/0-9A-Za-z]{22}==$/;
const HEADERS = ["upgrade", "sec-websocket-key", "sec-websocket-version"] as const;

interface Request {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Throws SPRINT_API_BAD_HANDSHAKE. Subprotocols and extensions are not taken up. */
export function checkHandshake({ method, url, headers }: Request): Handshake {
  if (method !== "GET") throw bad(`expected GET, got ${method}`);
  if (String(headers["upgrade"]).toLowerCase() !== "websocket") throw bad("expected Upgrade: websocket");
  if (!KEY.test(String(headers["sec-websocket-key"])))
    throw bad("Sec-WebSocket-Key is missing or no base64 of 16 bytes");
  if (headers["sec-websocket-version"] !== "13") throw bad("expected Sec-WebSocket-Version: 13");
  return { method, url: url ?? "/", headers: Object.fromEntries(HEADERS.map((name) => [name, String(headers[name])])) };
}

function bad(why: string): SprintError {
  return new SprintError("SPRINT_API_BAD_HANDSHAKE", `not a WebSocket handshake: ${why}`);
}
