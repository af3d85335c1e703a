/** Reads what a caller gave a method of Ethereum's JSON-RPC, and refuses what is of another kind. */
import { RPC_CODE, RpcRefusal } from "./rpc-error.ts";
import type { View } from "./evm-rpc-views.ts";

export const TAGS = ["latest", "safe", "finalized", "earliest", "pending"] as const;
export type Tag = (typeof TAGS)[number];

/** Which block is meant. */
export type BlockId = { readonly tag: Tag } | { readonly number: number } | { readonly hash: string };

/** Empty lists stand for any. */
export interface LogQuery {
  readonly addresses: readonly string[];
  /** By position. */
  readonly topics: readonly (readonly string[])[];
}

const MAX_ALTERNATIVES = 1_000;
const MAX_TOPICS = 4;

export function hashIn(value: unknown, name: string): string {
  return hexIn(value, name, /^0x[0-9a-f]{64}$/, "32 bytes in hex");
}

export function addressIn(value: unknown, name: string): string {
  return hexIn(value, name, /^0x[0-9a-f]{40}$/, "20 bytes in hex");
}

/** A storage key: a quantity, or 32 bytes. Comes back as it was given. */
export function slotIn(value: unknown, name: string): string {
  hexIn(value, name, /^0x[0-9a-f]{1,64}$/, "up to 32 bytes in hex");
  return String(value);
}

export function numberIn(value: unknown, name: string): number {
  const text = typeof value === "number" ? `0x${value.toString(16)}` : value;
  return Number(hexIn(text, name, /^0x(?:0|[1-9a-f][0-9a-f]{0,12})$/, "a quantity up to 2^52"));
}

/** A number, a tag, a hash, or EIP-1898's object; `otherwise` where nothing is given. */
export function blockIdIn(value: unknown, name: string, otherwise: Tag = "latest"): BlockId {
  if (value === undefined || value === null) return { tag: otherwise };
  if (TAGS.includes(value as Tag)) return { tag: value as Tag };
  if (typeof value === "object") {
    const { blockHash, blockNumber } = value as View;
    if (blockHash !== undefined) return { hash: hashIn(blockHash, `${name} blockHash`) };
    return blockIdIn(blockNumber, `${name} blockNumber`);
  }
  return typeof value === "string" && value.length === 66
    ? { hash: hashIn(value, name) }
    : { number: numberIn(value, name) };
}

export function logQueryIn(filter: View): LogQuery {
  const topics = filter["topics"] ?? [];
  if (!Array.isArray(topics) || topics.length > MAX_TOPICS) throw wrong("topics", `a list of at most ${MAX_TOPICS}`);
  return {
    addresses: anyOf(filter["address"], "address", addressIn),
    topics: topics.map((each: unknown, i) => anyOf(each, `topics[${i}]`, hashIn)),
  };
}

export function objectIn(value: unknown, name: string): View {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(name, "an object");
  return value as View;
}

export function listIn(value: unknown, name: string, most: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > most) throw wrong(name, `a list of at most ${most}`);
  return value;
}

/** Whether the log, as it is written, is one that was asked for. */
export function isAskedFor(log: View, { addresses, topics }: LogQuery): boolean {
  const held = log["topics"] as readonly string[];
  return (
    (addresses.length === 0 || addresses.includes(String(log["address"]))) &&
    topics.length <= held.length &&
    topics.every((any, i) => any.length === 0 || any.includes(held[i] as string))
  );
}

function anyOf(value: unknown, name: string, read: (value: unknown, name: string) => string): string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return [read(value, name)];
  return listIn(value, name, MAX_ALTERNATIVES).map((each) => read(each, name));
}

function hexIn(value: unknown, name: string, shape: RegExp, expected: string): string {
  const text = typeof value === "string" ? value.toLowerCase() : "";
  if (!shape.test(text)) throw wrong(name, expected);
  return text;
}

function wrong(name: string, expected: string): RpcRefusal {
  return new RpcRefusal(RPC_CODE.INVALID_PARAMS, `invalid argument ${name}: expected ${expected}`);
}
