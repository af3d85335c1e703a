/**
 * Logs decoded with the events of an ABI that a user gives. ethers reads both; it is loaded with the first ABI that comes, as it takes 90 ms and 30 MB.
 *
 * An ABI and the logs that are read with it come from strangers, and ethers decodes on the main thread: what it would take long for is refused before.
 */
import type * as EthersAbi from "ethers/abi";
import type { EventFragment, Interface, ParamType, Result } from "ethers/abi";
import type { BlockLog } from "../shared/body.ts";
import { messageOf, SprintError } from "../shared/errors.ts";
import type { DecodedLog } from "../shared/events.ts";

export type LogDecoder = (log: BlockLog) => DecodedLog | null;

/** A whole ABI in JSON counts each of its events. */
const MAX_EVENTS = 100;
const MAX_FRAGMENT_CHARS = 16 * 1024;
/** Arrays and tuples within each other. */
const MAX_DEPTH = 6;
/** Values of a fragment that have a place of their own, those of fixed arrays each: ethers makes a decoder for every one. */
const MAX_VALUES = 256;
/** Of a log, as hex. ethers copies the rest of the data for every part of it. */
const MAX_DATA_CHARS = 32 * 1024;
/** A log's parts may point to the same bytes again and again; honest ones read each byte once, and lengths and offsets. */
const MAX_INFLATION = 2;

/**
 * Decodes logs by `abi`: events as `event Transfer(address indexed from, address indexed to, uint256 value)`, as JSON fragments, or as a whole ABI in JSON,
 * of which the events are taken. Rejects with SPRINT_ABI_SIZE or SPRINT_ABI_FRAGMENT. The decoder answers null for a log that no event fits.
 */
export async function createLogDecoder(abi: readonly string[]): Promise<LogDecoder> {
  if (abi.length > MAX_EVENTS) throw tooMany("fragments", MAX_EVENTS, abi.length);
  const ethers = await import("ethers/abi");
  // oxlint-disable-next-line eslint/no-underscore-dangle -- as ethers calls it
  ethers.AbiCoder._setDefaultMaxInflation(MAX_INFLATION);
  const events = abi.flatMap((text, index) => eventsOf(ethers, text, `fragment ${index}`));
  if (events.length > MAX_EVENTS) throw tooMany("events", MAX_EVENTS, events.length);
  const reader = new ethers.Interface([]);
  const byTopic = Map.groupBy(
    events.map((event) => ({
      topic: event.topicHash,
      signature: event.format(),
      indexed: indexedOf(event),
      read: readerOf(reader, event),
    })),
    ({ topic }) => topic,
  );
  return (log) => {
    const [topic = ""] = log.topics;
    const fitting = byTopic.get(topic)?.find(({ indexed }) => indexed === log.topics.length - 1);
    if (fitting === undefined || log.data.length > MAX_DATA_CHARS) return null;
    const args = fitting.read(log);
    return args === null ? null : { event: fitting.signature, args };
  };
}

type Args = DecodedLog["args"];
type Read = (log: BlockLog) => Args | null;

/** Most events are words one after the other, and ethers takes 90 µs for what takes 2 then; the rest is left to it. */
function readerOf(reader: Interface, event: EventFragment): Read {
  const words = event.inputs.map((input) => wordOf(input));
  return words.every((word) => word !== null) ? readWords(event.inputs, words) : readByEthers(reader, event);
}

function readByEthers(reader: Interface, event: EventFragment): Read {
  return ({ data, topics }) => {
    try {
      const result = reader.decodeEventLog(event, data, topics);
      return Object.fromEntries(event.inputs.map((input, i) => [nameOf(input, i), plain(result[i], input)]));
    } catch {
      // another contract's event that has the same signature and other data, or text that is no UTF-8
      return null;
    }
  };
}

function readWords(inputs: readonly ParamType[], words: readonly Word[]): Read {
  return ({ data, topics }) => {
    const args: [name: string, value: unknown][] = [];
    let [at, topic] = [2, 1];
    for (const [index, input] of inputs.entries()) {
      const word = input.indexed === true ? topics[topic++]?.slice(2) : data.slice(at, (at += WORD_CHARS));
      if (word?.length !== WORD_CHARS) return null;
      const value = words[index]?.(word) ?? null;
      if (value === null) return null;
      args.push([nameOf(input, index), value]);
    }
    return Object.fromEntries(args);
  };
}

/** Reads 32 bytes of hex; null where they are no value of the type. */
type Word = (word: string) => unknown;
const WORD_CHARS = 64;
const ADDRESS_PADDING = "0".repeat(24);

/** Null for a type that is not one word. Of what is indexed and has no fixed size, the word is its hash. */
function wordOf({ baseType, type, indexed }: ParamType): Word | null {
  const bits = Number(/\d+$/.exec(baseType)?.[0] ?? 256);
  if (baseType === "address") return (word) => (word.startsWith(ADDRESS_PADDING) ? `0x${word.slice(24)}` : null);
  if (baseType === "bool") return (word) => /[^0]/.test(word);
  if (baseType.startsWith("uint")) return (word) => `${BigInt.asUintN(bits, BigInt(`0x${word}`))}`;
  if (baseType.startsWith("int")) return (word) => `${BigInt.asIntN(bits, BigInt(`0x${word}`))}`;
  if (/^bytes\d+$/.test(type)) return (word) => `0x${word.slice(0, 2 * bits)}`;
  return indexed === true ? (word) => `0x${word}` : null;
}

function nameOf({ name }: ParamType, index: number): string {
  return name || String(index);
}

/** JSON-safe: integers as decimal text, addresses in lower case, tuples by name, of what is indexed and has no fixed size its hash. */
function plain(value: unknown, type: ParamType): unknown {
  if (typeof value === "bigint") return `${value}`;
  if (typeof value === "object" && value !== null && "_isIndexed" in value) return (value as { hash?: unknown }).hash;
  const { arrayChildren, components } = type;
  if (arrayChildren !== null) return (value as Result).toArray().map((each) => plain(each, arrayChildren));
  if (components !== null) {
    const parts = (value as Result).toArray();
    return Object.fromEntries(components.map((part, i) => [part.name || String(i), plain(parts[i], part)]));
  }
  return type.baseType === "address" ? String(value).toLowerCase() : value;
}

function eventsOf(ethers: typeof EthersAbi, text: string, what: string): readonly EventFragment[] {
  if (text.length > MAX_FRAGMENT_CHARS) throw tooMany(`characters of ${what}`, MAX_FRAGMENT_CHARS, text.length);
  let events: readonly EventFragment[];
  try {
    const given: unknown = /^\s*[[{]/.test(text) ? JSON.parse(text) : text;
    const fragments = (Array.isArray(given) ? given : [given]).map((each) => ethers.Fragment.from(each));
    events = fragments.filter((each) => ethers.EventFragment.isFragment(each));
  } catch (error) {
    throw badFragment(what, messageOf(error));
  }
  if (events.length === 0) throw badFragment(what, "none");
  for (const event of events) {
    if (event.anonymous) throw badFragment(what, `${event.name}, anonymous: its logs have no topic to know them by`);
    const values = event.inputs.reduce((sum, input) => sum + valuesOf(input, 0), 0);
    if (values > MAX_VALUES) throw badFragment(what, `${event.name} of more than ${MAX_VALUES} values`);
  }
  return events;
}

/** Infinite where types are nested too deep. */
function valuesOf({ arrayChildren, arrayLength, components }: ParamType, depth: number): number {
  if (depth > MAX_DEPTH) return Number.POSITIVE_INFINITY;
  if (arrayChildren !== null) {
    const times = arrayLength === null || arrayLength < 0 ? 1 : arrayLength;
    return 1 + times * valuesOf(arrayChildren, depth + 1);
  }
  return 1 + (components ?? []).reduce((sum, part) => sum + valuesOf(part, depth + 1), 0);
}

function indexedOf({ inputs }: EventFragment): number {
  return inputs.filter(({ indexed }) => indexed === true).length;
}

function badFragment(what: string, actual: string): SprintError {
  const expected = "an event, as `event Transfer(address indexed from, address indexed to, uint256 value)` or its JSON";
  return new SprintError("SPRINT_ABI_FRAGMENT", `${what}: expected ${expected}, got ${actual.slice(0, 200)}`, {
    actual,
  });
}

function tooMany(what: string, most: number, actual: number): SprintError {
  return new SprintError("SPRINT_ABI_SIZE", `abi: expected at most ${most} ${what}, got ${actual}`, {
    expected: most,
    actual,
  });
}
