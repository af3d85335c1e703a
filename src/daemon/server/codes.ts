/** Every code that the listeners answer with: its HTTP status, and what it says. Errors of other rooms come here, too. */
interface CodeRow {
  readonly status: number;
  readonly means: string;
}

export const CODES = {
  SPRINT_API_BAD_INPUT: {
    status: 400,
    means: "a parameter or field is not as described; `details` has `part`, `field`, `expected`",
  },
  SPRINT_API_BAD_JSON: { status: 400, means: "the body is no JSON" },
  SPRINT_API_BAD_REQUEST: { status: 400, means: "not HTTP that can be answered" },
  SPRINT_API_BAD_HANDSHAKE: { status: 400, means: "not a WebSocket handshake" },
  SPRINT_BREAKER_FORCE: { status: 400, means: "an order that a breaker does not take; `details.field` names what" },
  SPRINT_BREAKER_OPTIONS: {
    status: 400,
    means: "the fields contradict each other; `details.field` names one, nothing was changed",
  },
  "SPRINT_CONFIG_*": {
    status: 400,
    means: "the configuration does not hold; key and reason are named, nothing changed",
  },
  "SPRINT_WATCH_*": { status: 400, means: "a watch list that cannot be taken; the message names what" },
  "SPRINT_ADDRESS_*": { status: 400, means: "no address of this chain and network; the message says whose it is" },
  "SPRINT_XPUB_*": { status: 400, means: "no extended public key of this chain and network" },
  "SPRINT_ABI_*": { status: 400, means: "no fragment of an event that logs can be decoded by" },
  SPRINT_CONTROL_NO_TOKEN: { status: 401, means: "no `Authorization: Bearer TOKEN`" },
  SPRINT_CONTROL_WRONG_TOKEN: { status: 401, means: "not a token of this daemon" },
  SPRINT_CONTROL_ROLE: { status: 403, means: "the token's role may not; `details.needed` is the role that may" },
  SPRINT_API_NOT_FOUND: { status: 404, means: "no such path or method" },
  SPRINT_API_BLOCK_UNKNOWN: { status: 404, means: "no such block here: never seen, or older than what is kept" },
  SPRINT_API_CHAIN_OFF: {
    status: 404,
    means: "this daemon does not relay that chain; `details.on` lists those it does",
  },
  SPRINT_WATCH_UNKNOWN: { status: 404, means: "no watch list of that id: deleted, or made before a restart" },
  SPRINT_API_SUBSCRIPTION_UNKNOWN: { status: 404, means: "it expired, was deleted, or is another listener's" },
  SPRINT_CONTROL_UPSTREAM_UNKNOWN: { status: 404, means: "no upstream of that name; `details.known` has the nearest" },
  SPRINT_CONTROL_BREAKER_UNKNOWN: { status: 404, means: "no breaker of that name; `details.known` has the nearest" },
  SPRINT_API_TIMEOUT: { status: 408, means: "the request was not complete in time" },
  SPRINT_CONFIG_NEEDS_RESTART: {
    status: 409,
    means: "part of the change needs a restart, so none was applied; `details.changes` says which",
  },
  SPRINT_WATCH_EXISTS: { status: 409, means: "a watch list of that id is there already" },
  SPRINT_API_BODY_TOO_LARGE: { status: 413, means: "the body is larger than this route takes" },
  SPRINT_API_MEDIA_TYPE: { status: 415, means: "expected `content-type: application/json`" },
  SPRINT_API_RATE_LIMIT: { status: 429, means: "more calls in this minute than the tier allows; see `Retry-After`" },
  SPRINT_API_SUBSCRIPTIONS_FULL: { status: 429, means: "too many stored subscriptions; delete one first" },
  SPRINT_WATCH_LISTS_FULL: { status: 429, means: "too many watch lists on this chain; delete one first" },
  SPRINT_WATCH_ITEMS_FULL: { status: 429, means: "too much is watched on this chain, or by this list" },
  SPRINT_API_CONNECTION_LIMIT: { status: 429, means: "all connections of this tier are taken; see `Retry-After`" },
  SPRINT_API_HEADERS_TOO_LARGE: { status: 431, means: "the request's headers are too large" },
  SPRINT_API_INTERNAL: { status: 500, means: "a fault of the daemon; its log says more" },
  SPRINT_PROXY_FAILED: { status: 502, means: "upstreams were asked and none could answer" },
  SPRINT_PROXY_TOO_LARGE: { status: 502, means: "the answer is larger than is passed on" },
  SPRINT_WATCH_NO_FILTERS: { status: 503, means: "no upstream that is up serves block filters" },
  "SPRINT_UPSTREAM_*": { status: 502, means: "the upstream that was asked could not answer" },
  SPRINT_API_DRAINING: { status: 503, means: "the daemon is shutting down; come back with your cursor" },
  SPRINT_PROXY_NO_UPSTREAM: { status: 503, means: "no upstream of this chain speaks JSON-RPC" },
  SPRINT_PROXY_OPEN: { status: 503, means: "the breakers of all upstreams are open; see `Retry-After`" },
  SPRINT_PROXY_BUSY: { status: 503, means: "as many calls are under way as are taken; see `Retry-After`" },
  SPRINT_PROXY_BEHIND: {
    status: 503,
    means: "every upstream is behind the block that was announced last; see `Retry-After`",
  },
  SPRINT_PROXY_CLOSED: { status: 503, means: "the daemon is stopping" },
  SPRINT_PROXY_TIMEOUT: { status: 504, means: "no upstream answered in time" },
} as const satisfies Readonly<Record<string, CodeRow>>;

export type AnsweredCode = keyof typeof CODES;

/** Undefined where no listener answers with that code: a fault of ours. Rooms with many codes of one kind share a row. */
export function statusOf(code: string): number | undefined {
  if (Object.hasOwn(CODES, code)) return CODES[code as AnsweredCode].status;
  const row = `${code.split("_").slice(0, 2).join("_")}_*`;
  return Object.hasOwn(CODES, row) ? CODES[row as AnsweredCode].status : undefined;
}
