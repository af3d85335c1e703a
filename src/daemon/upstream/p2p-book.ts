/**
 * The nodes that we have heard of. Bounded as a whole, per network group (/16 of IPv4, /32 of IPv6) and per source, so that
 * nobody who owns one range of addresses, or one chatty node, can fill it. What gossip says about private networks is not
 * believed: it would make us knock on doors inside the operator's own house.
 */
import { BlockList, isIP } from "node:net";
import type { Clock, Random } from "../../shared/clock.ts";

export interface BookOptions {
  readonly maxEntries: number;
  readonly maxPerGroup: number;
  /** Entries that one source may have brought in. */
  readonly maxPerSource: number;
  /** Loopback and private addresses too; for test networks. */
  readonly acceptPrivate: boolean;
}

export const BOOK_DEFAULTS: BookOptions = {
  maxEntries: 4_000,
  maxPerGroup: 16,
  maxPerSource: 400,
  acceptPrivate: false,
};

export interface Place {
  readonly host: string;
  readonly port: number;
}

interface Entry extends Place {
  readonly group: string;
  readonly source: string;
  failures: number;
  /** Monotonic ms before which it is not dialled. */
  notBefore: number;
}

/** After a failed dial, doubled with each further one: a node may be down for minutes or gone for good. */
const RETRY_MS = 600_000;
/** Failures in a row after which an address is forgotten. */
const MAX_FAILURES = 5;
/** Below are the ports of services that no node uses and that strangers must not make us knock on. */
const LOWEST_PORT = 1_024;

export class AddressBook {
  readonly #options: BookOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #entries = new Map<string, Entry>();
  readonly #perGroup = new Map<string, number>();
  readonly #perSource = new Map<string, number>();
  /** Host -> monotonic ms until which it is out. Bounded like the book. */
  readonly #banned = new Map<string, number>();

  constructor(options: BookOptions, modules: { readonly clock: Clock; readonly random: Random }) {
    this.#options = options;
    this.#clock = modules.clock;
    this.#random = modules.random;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** True where the address is new and found its place. `source` names who told it. */
  add({ host, port }: Place, source: string): boolean {
    const { maxEntries, maxPerGroup, maxPerSource, acceptPrivate } = this.#options;
    if (isIP(host) === 0 || port < LOWEST_PORT || (!acceptPrivate && !isRoutable(host))) return false;
    const key = keyOf({ host, port });
    const group = groupOf(host);
    if (this.#entries.has(key) || this.isBanned(host)) return false;
    if ((this.#perGroup.get(group) ?? 0) >= maxPerGroup || (this.#perSource.get(source) ?? 0) >= maxPerSource)
      return false;
    if (this.#entries.size >= maxEntries) this.#forget(this.#anyKey());
    this.#entries.set(key, { host, port, group, source, failures: 0, notBefore: 0 });
    count(this.#perGroup, group, 1);
    count(this.#perSource, source, 1);
    return true;
  }

  /** Any address that may be dialled now, in none of the groups in use; null where there is none. */
  pick(groupsInUse: ReadonlySet<string>): Place | null {
    const now = this.#clock.now();
    const usable = [...this.#entries.values()].filter(
      ({ group, notBefore, host }) => notBefore <= now && !groupsInUse.has(group) && !this.isBanned(host),
    );
    return usable[Math.floor(this.#random() * usable.length)] ?? null;
  }

  failed(place: Place): void {
    const entry = this.#entries.get(keyOf(place));
    if (entry === undefined) return;
    entry.failures++;
    entry.notBefore = this.#clock.now() + RETRY_MS * 2 ** (entry.failures - 1);
    if (entry.failures >= MAX_FAILURES) this.#forget(keyOf(place));
  }

  succeeded(place: Place): void {
    const entry = this.#entries.get(keyOf(place));
    if (entry !== undefined) entry.failures = 0;
  }

  /** Not to be dialled again before `notBeforeMs` from now: it was taken out in favour of others. */
  rest(place: Place, forMs: number): void {
    const entry = this.#entries.get(keyOf(place));
    if (entry !== undefined) entry.notBefore = this.#clock.now() + forMs;
  }

  ban(host: string, forMs: number): void {
    this.#banned.delete(host);
    this.#banned.set(host, this.#clock.now() + forMs);
    const oldest = this.#banned.keys().next();
    if (this.#banned.size > this.#options.maxEntries && !oldest.done) this.#banned.delete(oldest.value);
    for (const [key, entry] of this.#entries) if (entry.host === host) this.#forget(key);
  }

  isBanned(host: string): boolean {
    const until = this.#banned.get(host);
    if (until === undefined) return false;
    if (until > this.#clock.now()) return true;
    this.#banned.delete(host);
    return false;
  }

  #anyKey(): string {
    const keys = [...this.#entries.keys()];
    return keys[Math.floor(this.#random() * keys.length)] ?? "";
  }

  #forget(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    count(this.#perGroup, entry.group, -1);
    count(this.#perSource, entry.source, -1);
  }
}

function keyOf({ host, port }: Place): string {
  return `${host} ${port}`;
}

/** The range that one operator is likely to own: /16 of IPv4, /32 of IPv6. */
export function groupOf(host: string): string {
  if (isIP(host) === 4) return host.split(".", 2).join(".");
  return expand(host).slice(0, 2).join(":");
}

function expand(host: string): readonly string[] {
  const [head = "", tail] = host.split("::");
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const middle = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length);
  return [...front, ...Array.from({ length: middle }, () => "0"), ...back].map((group) =>
    group.replace(/^0+(?=.)/, ""),
  );
}

function count(counts: Map<string, number>, key: string, by: number): void {
  const next = (counts.get(key) ?? 0) + by;
  if (next > 0) counts.set(key, next);
  else counts.delete(key);
}

/** Ranges that are not somebody's node on the open Internet: RFC 6890, and tunnels that hide an IPv4 address. */
const NOT_ROUTABLE = { v4: new BlockList(), v6: new BlockList() };
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const) {
  NOT_ROUTABLE.v4.addSubnet(network, prefix, "ipv4");
}
for (const [network, prefix] of [
  ["::", 8],
  ["64:ff9b::", 16],
  ["100::", 64],
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const) {
  NOT_ROUTABLE.v6.addSubnet(network, prefix, "ipv6");
}

function isRoutable(host: string): boolean {
  return isIP(host) === 6 ? !NOT_ROUTABLE.v6.check(host, "ipv6") : !NOT_ROUTABLE.v4.check(host, "ipv4");
}
