/**
 * Runs one fuzzer: `node test/fuzz/run.ts NAME [--seed N] [--iterations N]`, NAME one of `NAMES`.
 * Prints one JSON document; exit 1 on a crash, 2 on wrong usage.
 */
import { parseArgs } from "node:util";
import type { FuzzResult } from "./mutate.ts";

const NAMES = ["header", "auxpow", "block", "message", "solana", "rlp", "trie", "evmjson", "beacon", "rpc"];

function usage(problem: string): never {
  console.error(`${problem}\nusage: node test/fuzz/run.ts ${NAMES.join("|")} [--seed N] [--iterations N]`);
  process.exit(2);
}

function numberOf(flag: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) usage(`--${flag}: expected a whole number, got ${text}`);
  return value;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string", default: "1" },
    iterations: { type: "string", default: "1000000" },
  },
});
const [name] = positionals;
if (name === undefined || positionals.length > 1 || !NAMES.includes(name))
  usage(`expected one name, got ${positionals.join(" ") || "none"}`);
const seed = numberOf("seed", values.seed);
const iterations = numberOf("iterations", values.iterations);

const { fuzz } = (await import(`./${name}.fuzz.ts`)) as { fuzz: (seed: number, iterations: number) => FuzzResult };
const startedAt = performance.now();
const result = fuzz(seed, iterations);
const seconds = (performance.now() - startedAt) / 1000;
console.log(JSON.stringify({ fuzz: name, seed, seconds: Number(seconds.toFixed(1)), ...result }, null, 2));
process.exitCode = result.crashes.length > 0 ? 1 : 0;
