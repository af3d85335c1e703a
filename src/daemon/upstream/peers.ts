/**
 * A network without a node of one's own: a bounded set of peers on the public peer-to-peer network. Each is a P2P feed that
 * tells the same sink.
 *
 *   DNS seeds ─▶ address book ◀─ gossip (getaddr)
 *                     │ any that is not in use, not banned, in no network group in use
 *                     ▼
 *                 seat 1 … seat N ─▶ feeds ─▶ sink
 *
 * A peer is not waited for: when it cannot be reached or is lost, its seat goes to another address. So a peer has no breaker
 * (nobody comes back to it), and seats have names (`peer-3`) that stay few however many nodes sit in them. The pipeline says
 * by `scored` who was first and who was wrong; now and then the peer with the lowest score makes room. One that was cordoned
 * is banned for a while.
 */
import { Resolver } from "node:dns/promises";
import type { Cancel, Clock, Random } from "../../shared/clock.ts";
import type { Breaker } from "../breaker/index.ts";
import type { UtxoCodec } from "../chain/index.ts";
import { type NodeAddress, SERVICE } from "../wire/index.ts";
import { nextDelayMs } from "./backoff.ts";
import { AddressBook, BOOK_DEFAULTS, type BookOptions, type Place, groupOf } from "./p2p-book.ts";
import { createP2pFeed } from "./p2p.ts";
import type { Feed, FeedSink, FeedState } from "./types.ts";

export interface PeerSetOptions {
  /** What the feeds' names begin with: `peer` gives `peer-1` and so on. */
  readonly name?: string;
  /** Peers to be kept. */
  readonly peers?: number;
  readonly agent?: string;
  readonly openTimeoutMs?: number;
  /** How often the lowest-scored peer makes room. */
  readonly replaceEveryMs?: number;
  /** How long a peer that was cordoned is kept away. */
  readonly banMs?: number;
  readonly book?: Partial<BookOptions>;
}

export interface PeerSetModules {
  readonly codec: UtxoCodec;
  readonly sink: FeedSink;
  readonly clock: Clock;
  readonly random: Random;
  /** Addresses of a DNS seed; the default asks the system's name servers. */
  readonly resolve?: (seed: string) => Promise<readonly string[]>;
  readonly onState?: (feed: Feed, state: FeedState, reason: string) => void;
  /** A DNS seed that gave nothing. */
  readonly onSeedFailed?: (seed: string, error: unknown) => void;
}

export const PEER_SET_DEFAULTS = {
  name: "peer",
  peers: 8,
  agent: "/bitcoin-sprint/",
  openTimeoutMs: 8_000,
  replaceEveryMs: 600_000,
  banMs: 86_400_000,
} as const;

/** Between attempts to fill empty seats while dials fail, and between questions to the DNS seeds. */
const FILL_BACKOFF = { baseMs: 200, capMs: 5_000 };
const SEED_EVERY_MS = 60_000;
/** What one seed may bring in. */
const MAX_PER_SEED = 256;
/** With this many to choose from, seeds are not asked. */
const ENOUGH_ADDRESSES = 100;

interface Seat {
  readonly name: string;
  peer: Peer | null;
}

interface Peer {
  readonly feed: Feed;
  readonly place: Place;
  /** Monotonic ms at which it came up, null before. */
  upSince: number | null;
  score: number;
}

export interface PeerStatus extends Place {
  readonly name: string;
  readonly score: number;
  readonly state: FeedState;
}

export class PeerSet {
  readonly #options: Required<Omit<PeerSetOptions, "book">>;
  readonly #modules: PeerSetModules;
  readonly #book: AddressBook;
  /** On a test network all addresses are in one group: there, being different has to do. */
  readonly #spread: boolean;
  readonly #seats: readonly Seat[];
  readonly #leaving = new Set<Promise<void>>();
  #running = false;
  #delayMs = 0;
  #seededAt = Number.NEGATIVE_INFINITY;
  #seeding = false;
  #cancelFill: Cancel | null = null;
  #cancelReplace: Cancel = () => {};

  constructor(options: PeerSetOptions, modules: PeerSetModules) {
    this.#options = { ...PEER_SET_DEFAULTS, ...options };
    this.#modules = modules;
    this.#book = new AddressBook({ ...BOOK_DEFAULTS, ...options.book }, modules);
    this.#spread = options.book?.acceptPrivate !== true;
    const { name, peers } = this.#options;
    this.#seats = Array.from({ length: peers }, (_, i) => ({ name: `${name}-${i + 1}`, peer: null }));
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#replaceLater();
    this.#fill();
  }

  async close(): Promise<void> {
    this.#running = false;
    this.#cancelFill?.();
    this.#cancelReplace();
    for (const seat of this.#seats) this.#empty(seat);
    await Promise.all(this.#leaving);
  }

  /** The feeds of now; they come and go. */
  feeds(): readonly Feed[] {
    return this.#seats.flatMap(({ peer }) => (peer === null ? [] : [peer.feed]));
  }

  status(): { readonly peers: readonly PeerStatus[]; readonly knownAddresses: number } {
    const peers = this.#seats.flatMap(({ name, peer }) =>
      peer === null ? [] : [{ name, ...peer.place, score: peer.score, state: peer.feed.status().state }],
    );
    return { peers, knownAddresses: this.#book.size };
  }

  /** The pipeline's judgement: above zero for being first with a valid block, below for being wrong or late. */
  scored(feedName: string, delta: number): void {
    const seat = this.#seats.find(({ name }) => name === feedName);
    if (seat?.peer) seat.peer.score += delta;
  }

  /** An address to try, from the configuration or a test. */
  addAddress(place: Place): void {
    if (this.#book.add(place, "given")) this.#fillSoon();
  }

  // --- seats ---

  #fill(): void {
    this.#cancelFill?.();
    this.#cancelFill = null;
    if (!this.#running) return;
    const groups = new Set(this.#seats.flatMap(({ peer }) => (peer === null ? [] : [groupOf(peer.place.host)])));
    let candidates = true;
    for (const seat of this.#seats) {
      if (seat.peer !== null) continue;
      const place = this.#book.pick(this.#spread ? groups : NO_GROUPS);
      candidates = place !== null;
      if (place === null) break;
      groups.add(groupOf(place.host));
      this.#seat(seat, place);
    }
    if (!candidates || this.#book.size < ENOUGH_ADDRESSES) void this.#askSeeds();
    if (!candidates) this.#fillLater();
  }

  /** Failures that come together wait together. */
  #fillLater(): void {
    if (this.#cancelFill !== null) return;
    this.#delayMs = nextDelayMs(this.#delayMs, FILL_BACKOFF, this.#modules.random);
    this.#cancelFill = this.#modules.clock.after(this.#delayMs, () => this.#fill());
  }

  #fillSoon(): void {
    if (!this.#running) return;
    this.#cancelFill?.();
    this.#cancelFill = this.#modules.clock.after(0, () => this.#fill());
  }

  #seat(seat: Seat, place: Place): void {
    const { codec, sink, clock, random } = this.#modules;
    const { agent, openTimeoutMs } = this.#options;
    const feed = createP2pFeed(
      { name: seat.name, ...place, agent, openTimeoutMs },
      {
        codec,
        sink,
        clock,
        random,
        breaker: UNGUARDED,
        onAddresses: (addresses) => this.#heard(addresses, groupOf(place.host)),
        onState: (_, state, reason) => this.#changed(seat, peer, state, reason),
      },
    );
    const peer: Peer = { feed, place, upSince: null, score: 0 };
    seat.peer = peer;
    // While it sits here it is nobody else's.
    this.#book.rest(place, Number.POSITIVE_INFINITY);
    feed.start();
  }

  #changed(seat: Seat, peer: Peer, state: FeedState, reason: string): void {
    this.#modules.onState?.(peer.feed, state, reason);
    if (seat.peer !== peer) return;
    if (state === "up") {
      peer.upSince = this.#modules.clock.now();
      this.#delayMs = 0;
      this.#book.succeeded(peer.place);
    }
    if (state === "cordoned") this.#book.ban(peer.place.host, this.#options.banMs);
    if (state === "down") this.#book.failed(peer.place);
    if (state === "down" || state === "cordoned") {
      this.#empty(seat);
      this.#fillLater();
    }
  }

  #empty(seat: Seat): void {
    const { peer } = seat;
    if (peer === null) return;
    seat.peer = null;
    const left = peer.feed.close();
    this.#leaving.add(left);
    void left.finally(() => this.#leaving.delete(left));
  }

  // --- the worst makes room ---

  #replaceLater(): void {
    this.#cancelReplace = this.#modules.clock.after(this.#options.replaceEveryMs, () => {
      this.#replaceWorst();
      this.#replaceLater();
    });
  }

  /** Only with all seats taken, somebody to take the place, and a peer that had its time; the best keep theirs. */
  #replaceWorst(): void {
    const { replaceEveryMs } = this.#options;
    const now = this.#modules.clock.now();
    const up = this.#seats.filter(({ peer }) => peer !== null && peer.upSince !== null);
    const scores = up.map(({ peer }) => peer?.score ?? 0);
    const highest = Math.max(...scores);
    const worst = up
      .filter(({ peer }) => peer !== null && now - (peer.upSince ?? now) >= replaceEveryMs && peer.score < highest)
      .sort((a, b) => (a.peer?.score ?? 0) - (b.peer?.score ?? 0))[0];
    if (up.length === this.#seats.length && worst?.peer && this.#book.pick(NO_GROUPS) !== null) {
      this.#book.rest(worst.peer.place, 6 * replaceEveryMs);
      this.#empty(worst);
      this.#fill();
    }
    // What was long ago counts less and less.
    for (const { peer } of this.#seats) if (peer !== null) peer.score /= 2;
  }

  // --- addresses ---

  #heard(addresses: readonly NodeAddress[], source: string): void {
    for (const { host, port, services } of addresses) {
      if ((services & (SERVICE.NETWORK | SERVICE.NETWORK_LIMITED)) !== 0n) this.#book.add({ host, port }, source);
    }
    if (this.#seats.some(({ peer }) => peer === null)) this.#fillSoon();
  }

  async #askSeeds(): Promise<void> {
    const { codec, clock, resolve = resolveSeed, onSeedFailed } = this.#modules;
    if (this.#seeding || clock.now() - this.#seededAt < SEED_EVERY_MS) return;
    this.#seeding = true;
    this.#seededAt = clock.now();
    const { dnsSeeds, p2pPort: port } = codec.params;
    await Promise.all(
      dnsSeeds.map(async (seed) => {
        try {
          const hosts = await resolve(seed);
          for (const host of hosts.slice(0, MAX_PER_SEED)) this.#book.add({ host, port }, seed);
          // At once: another seed may not answer for many seconds.
          this.#fillSoon();
        } catch (error) {
          onSeedFailed?.(seed, error);
        }
      }),
    );
    this.#seeding = false;
  }
}

const NO_GROUPS: ReadonlySet<string> = new Set();

/** A peer is dropped at its first failure, so there is nothing to guard. */
const UNGUARDED: Breaker = {
  key: "peer",
  tryAcquire: () => 1,
  onResult() {},
  state: () => "closed",
  probeAt: () => null,
};

/** Not `lookup`: that would wait in the thread pool in which proof of work is computed. */
async function resolveSeed(seed: string): Promise<readonly string[]> {
  const resolver = new Resolver({ timeout: 5_000, tries: 2 });
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(seed), resolver.resolve6(seed)]);
  if (v4.status === "rejected" && v6.status === "rejected") throw v4.reason;
  return [v4, v6].flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
}
