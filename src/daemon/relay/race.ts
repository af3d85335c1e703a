/** Who was first: for each block of one chain when each upstream announced it, and who announced what was wrong. */
import type { Chain } from "../../shared/chain.ts";
import type { ErrorCode } from "../../shared/errors.ts";

export interface RaceOptions {
  readonly chain: Chain;
  /** Newest blocks remembered. Default 2016. */
  readonly keepBlocks?: number;
  /** Newest refused announcements remembered. Default 1000. */
  readonly keepWrongs?: number;
  /** Upstreams with a standing; with a further one the one heard of first goes. Default 1000. */
  readonly maxUpstreams?: number;
}

/** A block that an upstream announced by itself. */
export interface RaceArrival {
  readonly hash: string;
  readonly height: number;
  readonly upstream: string;
  /** How it came: "cmpctblock", "headers", "zmq" … */
  readonly via: string;
  /** Monotonic ms of the socket read. */
  readonly at: number;
  /** Unix ms of the same moment. */
  readonly wall: number;
}

/** An announcement that was refused. */
export interface RaceWrong {
  readonly upstream: string;
  readonly code: ErrorCode;
  readonly message: string;
  /** Unix ms. */
  readonly wall: number;
}

export interface RaceBlock {
  readonly hash: string;
  readonly height: number;
  /** Unix ms of the first announcement. */
  readonly firstAt: number;
  /** In order of arrival; the first is `behindMs` 0. */
  readonly arrivals: readonly { readonly upstream: string; readonly via: string; readonly behindMs: number }[];
}

export interface RaceStanding {
  readonly upstream: string;
  /** Blocks it announced, of those counted. */
  readonly seen: number;
  readonly wins: number;
  /** Median delay behind the first, over the blocks it did not win; null where there is none. */
  readonly behindMsP50: number | null;
  readonly behindMsP95: number | null;
  /** Announcements refused since the start. */
  readonly wrong: number;
}

export interface RaceReport {
  readonly chain: Chain;
  /** Newest first. */
  readonly blocks: readonly RaceBlock[];
  /** Most wins first, over `blocks`. */
  readonly standings: readonly RaceStanding[];
  /** Newest first, at most as many as blocks were asked for. */
  readonly wrongs: readonly RaceWrong[];
}

interface Row {
  readonly hash: string;
  readonly height: number;
  readonly arrivals: RaceArrival[];
}

export class RaceLedger {
  readonly #options: Required<RaceOptions>;
  /** By hash, in order of first arrival. */
  readonly #rows = new Map<string, Row>();
  readonly #wrongs: RaceWrong[] = [];
  /** Every upstream heard of, and how often it was wrong. */
  readonly #upstreams = new Map<string, number>();

  constructor(options: RaceOptions) {
    this.#options = { keepBlocks: 2_016, keepWrongs: 1_000, maxUpstreams: 1_000, ...options };
  }

  /** Records an upstream's first announcement of a block; later ones of the same block by it are ignored. */
  arrived(arrival: RaceArrival): void {
    this.#hear(arrival.upstream);
    const row = this.#rows.get(arrival.hash);
    if (row === undefined) {
      this.#rows.set(arrival.hash, { hash: arrival.hash, height: arrival.height, arrivals: [arrival] });
      if (this.#rows.size > this.#options.keepBlocks) forgetFirst(this.#rows);
      return;
    }
    if (row.arrivals.some(({ upstream }) => upstream === arrival.upstream)) return;
    // Proofs of different upstreams may end in another order than the reads they began with.
    const later = row.arrivals.findIndex(({ at }) => at > arrival.at);
    row.arrivals.splice(later === -1 ? row.arrivals.length : later, 0, arrival);
  }

  wrong(wrong: RaceWrong): void {
    this.#hear(wrong.upstream);
    this.#upstreams.set(wrong.upstream, (this.#upstreams.get(wrong.upstream) ?? 0) + 1);
    this.#wrongs.push(wrong);
    if (this.#wrongs.length > this.#options.keepWrongs) this.#wrongs.shift();
  }

  /** Over the newest `last` blocks. */
  report(last: number): RaceReport {
    const rows = [...this.#rows.values()].slice(-Math.max(1, last)).reverse();
    return {
      chain: this.#options.chain,
      blocks: rows.map(toBlock),
      standings: this.#standings(rows),
      wrongs: this.#wrongs.slice(-Math.max(1, last)).reverse(),
    };
  }

  #standings(rows: readonly Row[]): RaceStanding[] {
    const tally = new Map(
      [...this.#upstreams.keys()].map((name) => [name, { seen: 0, wins: 0, behind: [] as number[] }]),
    );
    for (const { arrivals } of rows) {
      const first = arrivals[0];
      for (const arrival of arrivals) {
        const count = tally.get(arrival.upstream);
        if (count === undefined || first === undefined) continue;
        count.seen++;
        if (arrival === first) count.wins++;
        else count.behind.push(arrival.at - first.at);
      }
    }
    const standings = [...tally].map(([upstream, { seen, wins, behind }]) => {
      behind.sort((a, b) => a - b);
      const wrong = this.#upstreams.get(upstream) ?? 0;
      return { upstream, seen, wins, behindMsP50: quantile(behind, 0.5), behindMsP95: quantile(behind, 0.95), wrong };
    });
    return standings.sort((a, b) => b.wins - a.wins || b.seen - a.seen || (a.upstream < b.upstream ? -1 : 1));
  }

  #hear(upstream: string): void {
    if (this.#upstreams.has(upstream)) return;
    this.#upstreams.set(upstream, 0);
    if (this.#upstreams.size > this.#options.maxUpstreams) forgetFirst(this.#upstreams);
  }
}

function forgetFirst(map: Map<string, unknown>): void {
  const first = map.keys().next();
  if (!first.done) map.delete(first.value);
}

function toBlock({ hash, height, arrivals }: Row): RaceBlock {
  const first = arrivals[0];
  return {
    hash,
    height,
    firstAt: first?.wall ?? 0,
    arrivals: arrivals.map(({ upstream, via, at }) => ({ upstream, via, behindMs: at - (first?.at ?? at) })),
  };
}

/** Nearest rank of a sorted list. */
function quantile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null;
}
