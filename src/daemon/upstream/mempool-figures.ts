/** What a mempool's entries tell together: how much waits at which fee, and what the next block would take of it. */

/** Fees in base units. */
export interface MempoolEntry {
  readonly vsize: number;
  readonly weight: number;
  readonly fee: number;
  /** Ids of the entries whose outputs it spends. */
  readonly depends: readonly string[];
}

/** Rates in base units a virtual byte. */
export interface MempoolStep {
  /** The lowest rate of this step. */
  readonly fee_rate: number;
  readonly vsize: number;
  readonly count: number;
}

export interface MempoolTemplate {
  readonly transactions: number;
  readonly weight: number;
  /** Decimal. */
  readonly fees_units: string;
  /** The lowest that was taken; null where nothing was. */
  readonly min_fee_rate: number | null;
}

/** Ten steps from each power of ten to the next: chains differ in their fees by five of them. */
const STEPS = [8, 6, 5, 4, 3, 2.5, 2, 1.5, 1.2, 1] as const;
/** MAX_BLOCK_WEIGHT, and what Core keeps for the coinbase. */
const MAX_WEIGHT = 4_000_000 - 4_000;
/** Nodes take chains of 25; a longer one is not followed. */
const MAX_ANCESTORS = 100;
/** As Core's: the block is as good as full. */
const MAX_MISSES = 1_000;
/** About 2 ms of work. */
const PER_TURN = 2_000;

/** Highest rate first. */
export function histogramOf(entries: Iterable<MempoolEntry>): readonly MempoolStep[] {
  const steps = new Map<number, { vsize: number; count: number }>();
  for (const { fee, vsize } of entries) {
    const rate = stepBelow(fee / vsize);
    const step = steps.get(rate) ?? { vsize: 0, count: 0 };
    step.vsize += vsize;
    step.count++;
    steps.set(rate, step);
  }
  return [...steps].map(([rate, step]) => ({ fee_rate: rate, ...step })).sort((a, b) => b.fee_rate - a.fee_rate);
}

function stepBelow(rate: number): number {
  if (!(rate > 0)) return 0;
  const power = 10 ** Math.floor(Math.log10(rate) + 1e-9);
  const step = STEPS.find((candidate) => candidate <= rate / power + 1e-9) ?? 1;
  return Number((step * power).toPrecision(3));
}

/**
 * An estimate: packages of a transaction and its ancestors, best rate first, as they stood before any was taken. `turn` is awaited every so often, so
 * that blocks pass in between.
 */
export async function templateOf(
  entries: ReadonlyMap<string, MempoolEntry>,
  turn: () => Promise<void>,
): Promise<MempoolTemplate> {
  const packages: { readonly members: readonly string[]; readonly rate: number }[] = [];
  for (const txid of entries.keys()) {
    if (packages.length % PER_TURN === 0) await turn();
    const members = ancestorsOf(txid, entries);
    packages.push({ members, rate: rateOf(members, entries) });
  }
  await turn();
  packages.sort((a, b) => b.rate - a.rate);
  const taken = new Set<string>();
  let [weight, fees, misses] = [0, 0, 0];
  let lowest = Number.POSITIVE_INFINITY;
  for (const [at, { members }] of packages.entries()) {
    if (at % PER_TURN === 0) await turn();
    const missing = members.filter((txid) => !taken.has(txid));
    if (missing.length === 0) continue;
    const sum = sumOf(missing, entries);
    if (weight + sum.weight > MAX_WEIGHT) {
      if (++misses > MAX_MISSES) break;
      continue;
    }
    misses = 0;
    weight += sum.weight;
    fees += sum.fee;
    lowest = Math.min(lowest, sum.fee / sum.vsize);
    for (const txid of missing) taken.add(txid);
  }
  const minRate = taken.size === 0 ? null : lowest;
  return { transactions: taken.size, weight, fees_units: String(fees), min_fee_rate: minRate };
}

/** Itself first. */
function ancestorsOf(txid: string, entries: ReadonlyMap<string, MempoolEntry>): readonly string[] {
  const depends = entries.get(txid)?.depends ?? [];
  if (depends.length === 0) return [txid];
  const found = new Set([txid]);
  for (const member of found) {
    if (found.size > MAX_ANCESTORS) break;
    for (const parent of entries.get(member)?.depends ?? []) if (entries.has(parent)) found.add(parent);
  }
  return [...found];
}

function rateOf(members: readonly string[], entries: ReadonlyMap<string, MempoolEntry>): number {
  const { fee, vsize } = sumOf(members, entries);
  return fee / vsize;
}

function sumOf(members: readonly string[], entries: ReadonlyMap<string, MempoolEntry>): Omit<MempoolEntry, "depends"> {
  let [vsize, weight, fee] = [0, 0, 0];
  for (const txid of members) {
    const entry = entries.get(txid);
    if (entry === undefined) continue;
    vsize += entry.vsize;
    weight += entry.weight;
    fee += entry.fee;
  }
  return { vsize, weight, fee };
}
