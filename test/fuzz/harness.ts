/** The loop that the fuzzers share. */
import { seededRandom } from "../../src/shared/clock.ts";
import { isSprintError } from "../../src/shared/errors.ts";
import { below, type Crash, type FuzzResult, mutate } from "./mutate.ts";

/** More would only fill the memory. */
const MAX_CRASHES = 20;

/**
 * Runs `parse` over `iterations` changed copies of `corpus`. `parse` returns whether it took the input, refuses by throwing a
 * SprintError, and is broken if it throws anything else; `source` is the index in `corpus`. The same seed gives the same inputs.
 */
export function fuzzParser(
  corpus: readonly Uint8Array[],
  parse: (input: Uint8Array, source: number) => boolean,
  seed: number,
  iterations: number,
): FuzzResult {
  const random = seededRandom(seed);
  const crashes: Crash[] = [];
  let accepted = 0;
  let refused = 0;
  let slowestMs = 0;
  for (let iteration = 0; iteration < iterations; iteration++) {
    const source = below(random, corpus.length);
    const input = mutate(corpus[source] as Uint8Array, random);
    const startedAt = performance.now();
    try {
      if (parse(input, source)) accepted++;
      else refused++;
    } catch (error) {
      if (isSprintError(error)) refused++;
      else if (crashes.length < MAX_CRASHES) {
        const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
        crashes.push({ iteration, inputHex: Buffer.from(input).toString("hex"), error: message });
      }
    }
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
  }
  return { inputs: iterations, accepted, refused, crashes, slowestMs };
}
