/**
 * Tells what a message of a JSON-RPC socket is: the answer to a call, or a notification of a subscription. Both can be large
 * (whole blocks); these are cut at their known ends and are parsed by who wants their inside, if anybody does.
 */
import { CHECKED_CHARS } from "./jsonrpc-answer.ts";

export type SocketMessage = AnswerMessage | Notification | { readonly kind: "strange" };

export interface AnswerMessage {
  readonly kind: "answer";
  readonly id: number;
  /** The whole message. */
  readonly text: string;
}

/** What a subscription brings: `{"method":…,"params":{"subscription":…,"result":…}}` of Ethereum and of Solana. */
export interface Notification {
  readonly kind: "notification";
  /** As the answer to subscribing gave it. */
  readonly subscription: string | number;
  /** The result, parsed. Throws SyntaxError where the node sent what is no JSON. */
  value(): unknown;
  /** The result as text, every number as the node wrote it. */
  json(): string;
  /** Characters of the message. */
  readonly length: number;
  /** Monotonic ms of the socket read that completed it. */
  readonly receivedAt: number;
}

const ID_FIRST = /^\{(?:"jsonrpc":"2\.0",)?"id":(\d{1,15}),/;
const ID_LAST = /[\]}"el\d],"id":(\d{1,15})\}\s*$/;
const METHOD = /^\{"jsonrpc":"2\.0","method":"\w{1,64}","params":\{/;
const SUBSCRIPTION = '"subscription":("[\\w-]{1,128}"|0|[1-9]\\d{0,15})';
const NAME_FIRST = new RegExp(`^${SUBSCRIPTION},"result":`);
const NAME_LAST = new RegExp(`,${SUBSCRIPTION}\\}\\}\\s*$`);
const RESULT = '"result":';
/** Longer than what stands before or behind a result. */
const EDGE_CHARS = 256;

export function readMessage(text: string, receivedAt: number): SocketMessage {
  const id = ID_FIRST.exec(text.slice(0, EDGE_CHARS)) ?? ID_LAST.exec(text.slice(-EDGE_CHARS));
  if (id !== null) return { kind: "answer", id: Number(id[1]), text };
  return cutNotification(text, receivedAt) ?? parsed(text, receivedAt);
}

/** By the two forms that nodes write; null: another one, or no notification. */
function cutNotification(text: string, receivedAt: number): Notification | null {
  const head = METHOD.exec(text.slice(0, EDGE_CHARS))?.[0];
  if (head === undefined) return null;
  const rest = text.slice(head.length, head.length + EDGE_CHARS);
  const first = NAME_FIRST.exec(rest);
  if (first !== null && text.endsWith("}}"))
    return notification(first[1] as string, text.slice(head.length + first[0].length, -2), receivedAt);
  const last = rest.startsWith(RESULT) ? NAME_LAST.exec(text.slice(-EDGE_CHARS)) : null;
  if (last === null) return null;
  return notification(
    last[1] as string,
    text.slice(head.length + RESULT.length, text.length - last[0].length),
    receivedAt,
  );
}

/** Null: what was cut out is not all that there is. */
function notification(name: string, json: string, receivedAt: number): Notification | null {
  let value: () => unknown = () => JSON.parse(json) as unknown;
  if (json.length <= CHECKED_CHARS) {
    try {
      const small = value();
      value = () => small;
    } catch {
      return null;
    }
  }
  const subscription = JSON.parse(name) as string | number;
  return { kind: "notification", subscription, value, json: () => json, length: json.length, receivedAt };
}

/** Any other way of writing the same. */
function parsed(text: string, receivedAt: number): SocketMessage {
  const message = objectIn(text);
  if (message === null) return { kind: "strange" };
  const { id, params } = message;
  if (typeof id === "number") return { kind: "answer", id, text };
  const { subscription, result } = (params ?? {}) as { subscription?: unknown; result?: unknown };
  if (typeof subscription !== "string" && typeof subscription !== "number") return { kind: "strange" };
  return {
    kind: "notification",
    subscription,
    value: () => result,
    json: () => JSON.stringify(result) ?? "null",
    length: text.length,
    receivedAt,
  };
}

function objectIn(text: string): Record<string, unknown> | null {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
