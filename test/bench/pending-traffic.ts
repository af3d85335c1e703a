/** Pending transactions of the bench `pending`: made before, numbered as they go, and a hundred filters that let through some of them each. */
import { type Random, seededRandom } from "../../src/shared/clock.ts";
import type { SubscribeBody } from "../../src/shared/api.ts";

type PendingBody = NonNullable<SubscribeBody["pending"]>;

export interface Traffic {
  /** One for each subscriber, no two alike. */
  readonly filters: readonly PendingBody[];
  /** `count` notifications as one piece of the wire, and how each subscriber's list goes on by them. */
  next(count: number): Buffer;
  /** By subscriber: numbers of those that it was to be told since the last time. */
  expected(): number[][];
}

const TRANSACTIONS = 4_000;
const ADDRESSES = 2_000;
const SELECTORS = 64;
const WATCHED = 10;
/** Of the hash, after 0x. */
const NUMBER_AT = 56;
const NUMBER_DIGITS = 8;

interface Made {
  readonly frame: Buffer;
  /** Where the number goes. */
  readonly at: number;
  readonly listeners: readonly number[];
}

/** `frameOf` makes a notification of the node's. */
export function makeTraffic(subscribers: number, frameOf: (transaction: unknown) => Buffer): Traffic {
  const random = seededRandom(7);
  const addresses = Array.from({ length: ADDRESSES }, () => hex(random, 40));
  const selectors = Array.from({ length: SELECTORS }, () => hex(random, 8));
  const filters = Array.from({ length: subscribers }, (_, i) => filterOf(i, addresses, selectors));
  const made = Array.from({ length: TRANSACTIONS }, () => makeOne(random, addresses, selectors, filters, frameOf));
  let told: number[][] = filters.map(() => []);
  let number = 0;
  return {
    filters,
    next(count) {
      const some = Array.from({ length: count }, (_, i) => made[(number + i) % TRANSACTIONS] as Made);
      const bytes = Buffer.concat(some.map(({ frame }) => frame));
      let start = 0;
      for (const { frame, at, listeners } of some) {
        bytes.write(number.toString(16).padStart(NUMBER_DIGITS, "0"), start + at, "latin1");
        for (const listener of listeners) told[listener]?.push(number);
        start += frame.length;
        number++;
      }
      return bytes;
    },
    expected() {
      const before = told;
      told = filters.map(() => []);
      return before;
    },
  };
}

/** Most name addresses, some a method, some an amount, some two of these. */
function filterOf(i: number, addresses: readonly string[], selectors: readonly string[]): PendingBody {
  const watched = addresses.slice(i * WATCHED, (i + 1) * WATCHED);
  switch (i % 10) {
    case 7:
      return { selectors: [selectors[i % SELECTORS] as string], min_value_wei: `${i}` };
    case 8:
      return { min_value_wei: `${10n ** 18n * BigInt(980 + (i % 17))}` };
    case 9:
      return { addresses: [...watched, ...addresses.slice(1_000, 1_050)], selectors: selectors.slice(i % 32, 40) };
    default:
      return { addresses: watched };
  }
}

function makeOne(
  random: Random,
  addresses: readonly string[],
  selectors: readonly string[],
  filters: readonly PendingBody[],
  frameOf: (transaction: unknown) => Buffer,
): Made {
  const [from, to] = [pick(random, addresses), pick(random, addresses)];
  const selector = pick(random, selectors);
  const wei = BigInt(Math.floor(random() * 1_000_000)) * 10n ** 15n;
  const transaction = {
    blockHash: null,
    blockNumber: null,
    from,
    gas: "0x3d090",
    gasPrice: "0x77359400",
    maxFeePerGas: "0x77359400",
    maxPriorityFeePerGas: "0x3b9aca00",
    hash: `${hex(random, NUMBER_AT)}${"0".repeat(NUMBER_DIGITS)}`,
    input: `${selector}${hex(random, 128).slice(2)}`,
    nonce: `0x${Math.floor(random() * 10_000).toString(16)}`,
    to,
    transactionIndex: null,
    value: `0x${wei.toString(16)}`,
    type: "0x2",
    accessList: [],
    chainId: "0x1",
    v: "0x1",
    r: hex(random, 64),
    s: hex(random, 64),
    yParity: "0x1",
  };
  const frame = frameOf(transaction);
  const listeners = filters.flatMap(({ addresses: any, selectors: methods, min_value_wei: least }, i) => {
    const isTheirs = any === undefined || any.includes(from) || any.includes(to);
    const isMethod = methods === undefined || methods.includes(selector);
    return isTheirs && isMethod && (least === undefined || wei >= BigInt(least)) ? i : [];
  });
  return { frame, at: frame.indexOf(transaction.hash) + 2 + NUMBER_AT, listeners };
}

function pick<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)] as T;
}

function hex(random: Random, digits: number): string {
  return `0x${Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join("")}`;
}
