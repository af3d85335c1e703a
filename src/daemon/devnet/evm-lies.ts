/** What the embedded Ethereum node can be told to answer instead of the truth, for tests of those who ask it. */
export const EVM_LIES = [
  /** Blocks and heads name themselves by a hash that is not theirs. */
  "wrong-hash",
  /** The first transaction of a block pays one wei more. */
  "wrong-transactions",
  /** The last receipt of a block used one gas more. */
  "wrong-receipts",
  /** The number of a block is one that no float can hold. */
  "huge-numbers",
  "wrong-chain-id",
  /** As nodes answer for what they do not have. */
  "null-blocks",
  "null-receipts",
  "empty-logs",
  /** Subscriptions are taken, and nothing comes. */
  "silent",
  /** Only heads of even numbers are told of, as nodes that are behind leave some out. */
  "skip-heads",
] as const;
export type EvmLie = (typeof EVM_LIES)[number];

/** 2^53 + 1 */
const HUGE = "0x20000000000001";

type View = Readonly<Record<string, unknown>>;

/** Takes the block as it is served. */
export function lyingBlock(block: View, lies: ReadonlySet<EvmLie>): View {
  let lying = block;
  if (lies.has("wrong-hash")) lying = { ...lying, hash: otherHash(String(lying["hash"])) };
  if (lies.has("huge-numbers")) lying = { ...lying, number: HUGE };
  const [first, ...rest] = (lying["transactions"] ?? []) as (View | string)[];
  if (lies.has("wrong-transactions") && typeof first === "object")
    lying = { ...lying, transactions: [{ ...first, value: oneMore(first["value"]) }, ...rest] };
  return lying;
}

export function lyingReceipts(receipts: readonly View[], lies: ReadonlySet<EvmLie>): readonly View[] {
  const last = receipts.at(-1);
  if (!lies.has("wrong-receipts") || last === undefined) return receipts;
  const more = { cumulativeGasUsed: oneMore(last["cumulativeGasUsed"]), gasUsed: oneMore(last["gasUsed"]) };
  return [...receipts.slice(0, -1), { ...last, ...more }];
}

function otherHash(hash: string): string {
  return `${hash.slice(0, -1)}${hash.endsWith("0") ? "1" : "0"}`;
}

function oneMore(quantity: unknown): string {
  return `0x${(BigInt(String(quantity)) + 1n).toString(16)}`;
}
