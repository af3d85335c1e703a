/** What is read out of a body beside its verdict. Of what came of executing it, `meta`, nothing is proved: it is told as the node tells it. */
import type { BodyReading, Movement, SvmDigest, WatchSet } from "../../../shared/body.ts";
import { encodeBase58 } from "./base58.ts";
import type { SvmFacts, SvmHeader } from "./block.ts";
import type { Json } from "./json.ts";
import { accountKey, KEY_BYTES } from "./message.ts";
import type { GivenTransaction } from "./rpc.ts";
import { signatureOf } from "./transaction.ts";

/** A proved block, and the JSON that it was read from. */
export interface SvmBody {
  readonly block: Json;
  readonly header: SvmHeader & { readonly slot: number };
  readonly facts: SvmFacts;
  readonly transactions: readonly GivenTransaction[];
}

export function readSvmBody(body: SvmBody, watch: WatchSet): BodyReading {
  const metas = metasOf(body.block);
  return { logs: null, movements: movementsOf(body.transactions, metas, watch.items), digest: digestOf(body, metas) };
}

function digestOf({ block, header, facts, transactions }: SvmBody, metas: readonly (Json | null)[]): SvmDigest {
  const fees = sumOf(metas, "fee");
  return {
    family: "svm",
    slot: header.slot,
    parentSlot: header.parentSlot,
    transactions: transactions.length,
    votes: facts.voteCount,
    failed: metas.includes(null) ? null : metas.filter((meta) => hasFailed(meta as Json)).length,
    feesLamports: fees === null ? null : String(fees),
    computeUnits: sumOf(metas, "computeUnitsConsumed"),
    leader: leaderOf(block["rewards"]),
  };
}

/** By transaction; null where the node gave none. */
function metasOf({ transactions }: Json): readonly (Json | null)[] {
  return Array.isArray(transactions) ? transactions.map((item: unknown) => record(record(item)?.["meta"])) : [];
}

function hasFailed({ err }: Json): boolean {
  return err !== null && err !== undefined;
}

/** Null where one of them is not told, or is no number. */
function sumOf(metas: readonly (Json | null)[], field: string): number | null {
  let sum = 0;
  for (const meta of metas) {
    const value = meta?.[field];
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) return null;
    sum += value;
  }
  return Number.isSafeInteger(sum) ? sum : null;
}

function leaderOf(rewards: unknown): string | null {
  if (!Array.isArray(rewards)) return null;
  const fee = rewards.map(record).find((reward) => reward?.["rewardType"] === "Fee");
  const leader = fee?.["pubkey"];
  return typeof leader === "string" && leader.length <= MAX_KEY_CHARS ? leader : null;
}

/** 32 bytes in base58. */
const MAX_KEY_CHARS = 44;

/** A transaction that names something watched, as an account or as a program: once for each. */
function movementsOf(
  transactions: readonly GivenTransaction[],
  metas: readonly (Json | null)[],
  items: ReadonlySet<string>,
): readonly Movement[] {
  if (items.size === 0) return [];
  const itemOf = itemsByBytes(items);
  const movements: Movement[] = [];
  transactions.forEach((transaction, index) => {
    const { message } = transaction;
    if (message === null) return;
    const named = new Set<string>();
    for (let at = 0; at * KEY_BYTES < message.accountKeys.length; at++) {
      const item = itemOf(accountKey(message, at));
      if (item !== null) named.add(item);
    }
    for (const address of loadedOf(metas[index] ?? null)) if (items.has(address)) named.add(address);
    if (named.size === 0) return;
    const txid = signatureOf(transaction);
    for (const item of named) {
      movements.push({ item, txid, output: null, kind: "transaction", value: null, outpoint: null });
    }
  });
  return movements;
}

/** A block names the same few thousand accounts again and again: each is written in base58 once. */
function itemsByBytes(items: ReadonlySet<string>): (key: Uint8Array) => string | null {
  const seen = new Map<string, string | null>();
  return (key) => {
    const bytes = Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
    const before = seen.get(bytes);
    if (before !== undefined) return before;
    const address = encodeBase58(key);
    const item = items.has(address) ? address : null;
    seen.set(bytes, item);
    return item;
  };
}

/** Accounts out of lookup tables. */
function loadedOf(meta: Json | null): readonly string[] {
  const loaded = record(meta?.["loadedAddresses"]);
  if (loaded === null) return [];
  const all = [loaded["writable"], loaded["readonly"]].flatMap((list) =>
    Array.isArray(list) ? (list as unknown[]) : [],
  );
  return all.filter((address) => typeof address === "string");
}

function record(value: unknown): Json | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : null;
}
