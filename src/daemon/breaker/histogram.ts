/**
 * A log-linear histogram of latencies: each power of two is cut into 8 equal bins, from 1/16 ms to 65 s. A quantile is read with an error of at most
 * 6 %; histograms add up bin by bin, so a quantile of five minutes is that of the merged counts, never an average of quantiles.
 */
const UNITS_PER_MS = 16;
const LARGEST = 2 ** 20 - 1;
const LARGEST_MS = LARGEST / UNITS_PER_MS;

export const BINS = 8 + (20 - 3) * 8;

/** The bin of a latency; what is negative falls into the first, what is no number into the last. */
export function binOf(latencyMs: number): number {
  if (latencyMs <= 0) return 0;
  const units = latencyMs < LARGEST_MS ? (latencyMs * UNITS_PER_MS) | 0 : LARGEST;
  // Below 8 units a bin is a unit; from there on three bits after the leading one.
  const shift = 28 - Math.clz32(units | 8);
  return (shift << 3) + (units >> shift);
}

/** The middle of a bin, in ms. */
export function midOf(bin: number): number {
  if (bin < 8) return (bin + 0.5) / UNITS_PER_MS;
  const octave = (bin >> 3) + 2;
  const width = 2 ** (octave - 3);
  return (2 ** octave + ((bin & 7) + 0.5) * width) / UNITS_PER_MS;
}

/** Nearest rank; NaN of no counts. */
export function quantileOf(counts: Uint32Array, q: number): number {
  let total = 0;
  for (const count of counts) total += count;
  if (total === 0) return Number.NaN;
  const rank = Math.max(1, Math.ceil(q * total));
  let seen = 0;
  for (let bin = 0; bin < counts.length; bin++) {
    seen += counts[bin] ?? 0;
    if (seen >= rank) return midOf(bin);
  }
  return Number.NaN;
}
