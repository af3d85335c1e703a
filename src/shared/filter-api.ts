/** What a client wants to hear: stored filters, and the query of the event stream. */
import { type Static, Type } from "typebox";
import { CHAIN_NAME } from "./chain.ts";
import { EVENT_TYPES, PHASES } from "./events.ts";
import { ChainName, oneOf, orNull, strict, Time } from "./schema.ts";
import { WATCH_LIST_ID } from "./watch-api.ts";

/** Of one filter. */
const MAX_NAMED_CHAINS = 24;

const EventTypeName = oneOf(EVENT_TYPES, "event type");
const PhaseName = oneOf(PHASES, "announced: the header holds; validated: the body does. Both where absent");

const EvmAddress = Type.String({ pattern: "^0x[0-9a-fA-F]{40}$", description: "20 bytes, hex with 0x" });
const LogTopic = Type.String({ pattern: "^0x[0-9a-fA-F]{64}$", description: "32 bytes, hex with 0x" });
const WatchListId = Type.String({ pattern: WATCH_LIST_ID, description: "id of a watch list" });

/** Which logs `log` events tell, as eth_getLogs takes it. */
export const LogsBody = Type.Object(
  {
    addresses: Type.Optional(
      Type.Array(EvmAddress, { maxItems: 1_000, description: "any of these; all where absent" }),
    ),
    topics: Type.Optional(
      Type.Array(orNull(Type.Union([LogTopic, Type.Array(LogTopic, { maxItems: 1_000 })])), {
        maxItems: 4,
        description: "by position: one, any of several, or null for all",
      }),
    ),
    abi: Type.Optional(
      Type.Array(Type.String({ maxLength: 2_000 }), {
        maxItems: 100,
        description:
          "events to decode by: `event Transfer(address indexed from, address indexed to, uint256 value)`, or JSON fragments",
      }),
    ),
  },
  strict,
);

export type LogsBody = Static<typeof LogsBody>;

/** Which transactions `pending_tx` events tell; all that is given must hold. */
export const PendingBody = Type.Object(
  {
    addresses: Type.Optional(Type.Array(EvmAddress, { maxItems: 1_000, description: "sender or receiver" })),
    selectors: Type.Optional(
      Type.Array(Type.String({ pattern: "^0x[0-9a-fA-F]{8}$" }), {
        maxItems: 100,
        description: "first four bytes of the input",
      }),
    ),
    min_value_wei: Type.Optional(Type.String({ pattern: "^[0-9]{1,78}$" })),
  },
  strict,
);

export type PendingBody = Static<typeof PendingBody>;

export const SubscribeBody = Type.Object(
  {
    chains: Type.Optional(Type.Array(ChainName, { minItems: 1, maxItems: MAX_NAMED_CHAINS })),
    types: Type.Optional(Type.Array(EventTypeName, { minItems: 1, maxItems: EVENT_TYPES.length })),
    phase: Type.Optional(PhaseName),
    logs: Type.Optional(LogsBody),
    pending: Type.Optional(PendingBody),
    watch: Type.Optional(
      Type.Array(WatchListId, {
        minItems: 1,
        maxItems: 100,
        description: "watch lists whose `watch` events are told; all where absent",
      }),
    ),
  },
  strict,
);
export type SubscribeBody = Static<typeof SubscribeBody>;

export const SubscriptionBody = Type.Object({
  id: Type.String(),
  url: Type.String({ description: "WebSocket address to connect to" }),
  chains: orNull(Type.Array(ChainName)),
  types: orNull(Type.Array(EventTypeName)),
  phase: orNull(PhaseName),
  logs: Type.Optional(LogsBody),
  pending: Type.Optional(PendingBody),
  watch: Type.Optional(Type.Array(WatchListId)),
  created_at: Time,
  expires_at: Type.String({ format: "date-time", description: "put off by every connection that uses it" }),
  connections: Type.Integer(),
});
export type SubscriptionBody = Static<typeof SubscriptionBody>;

const commaList = (names: readonly string[], what: string) =>
  Type.String({
    pattern: `^(${names.join("|")})(,(${names.join("|")}))*$`,
    maxLength: 200,
    description: `comma-separated ${what}: ${names.join(", ")}. All where absent`,
  });

function listPattern(one: string): string {
  return `^${one}(,${one})*$`;
}

const hexList = (digits: number, what: string) =>
  Type.String({
    pattern: listPattern(`0x[0-9a-fA-F]{${digits}}`),
    maxLength: 7_000,
    description: `comma-separated: ${what}`,
  });

/** Query of `/ws/v1/events`. */
export const EventsQuery = Type.Object(
  {
    chains: Type.Optional(
      Type.String({
        pattern: listPattern(CHAIN_NAME.source.slice(1, -1)),
        maxLength: 800,
        description: "comma-separated chains. All where absent",
      }),
    ),
    types: Type.Optional(commaList(EVENT_TYPES, "event types")),
    phase: Type.Optional(PhaseName),
    address: Type.Optional(hexList(40, "`log` events of these addresses, and `pending_tx` from or to them")),
    topic0: Type.Optional(hexList(64, "first topic of logs")),
    topic1: Type.Optional(hexList(64, "second topic")),
    topic2: Type.Optional(hexList(64, "third topic")),
    topic3: Type.Optional(hexList(64, "fourth topic")),
    watch: Type.Optional(
      Type.String({
        pattern: listPattern(WATCH_LIST_ID.slice(1, -1)),
        maxLength: 2_000,
        description: "comma-separated watch lists. All where absent",
      }),
    ),
    cursor: Type.Optional(
      Type.String({ minLength: 1, maxLength: 2_600, description: "the last cursor received; resumes after it" }),
    ),
    subscription: Type.Optional(
      Type.String({ pattern: "^[0-9a-z_-]{1,40}$", description: "id of a stored subscription" }),
    ),
  },
  strict,
);
export type EventsQuery = Static<typeof EventsQuery>;

export const SubscriptionsBody = Type.Object({ subscriptions: Type.Array(SubscriptionBody) });
export type SubscriptionsBody = Static<typeof SubscriptionsBody>;

export const SubscriptionParams = Type.Object(
  { id: Type.String({ pattern: "^[0-9a-z_-]{1,40}$", description: "id of a stored subscription" }) },
  strict,
);
