/**
 * A worker that does what the first byte of the "block" says: 1 dies, 2 never answers, 3 calls it mutated, 4 throws, 5 says what it was to look for, 6 reads,
 * else it says how many bytes it got. What it says tells how many it has proved.
 */
import { parentPort } from "node:worker_threads";
import type { ProofRequest } from "../../../src/daemon/prove/types.ts";

let proofs = 0;

parentPort?.on("message", ({ raw, watch }: ProofRequest) => {
  proofs++;
  if (raw[0] === 1) process.exit(3);
  if (raw[0] === 2) return;
  if (raw[0] === 4) throw new Error("thrown in the worker");
  const message = raw[0] === 5 ? watchText(watch) : `mutated ${proofs}`;
  const refusal = { code: "SPRINT_BLOCK_MUTATED", message, data: { mutated: true } };
  const reading = { logs: null, movements: [], digest: null };
  const facts = { txCount: raw.length, sizeBytes: raw.length, level: "full", weight: proofs, coinbaseHeight: null };
  const isRefused = raw[0] === 3 || raw[0] === 5;
  const read = raw[0] === 6 && watch !== null ? { ...facts, reading } : facts;
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port to a thread has no origin
  parentPort?.postMessage({ verdict: isRefused ? { ok: false, refusal } : { ok: true, facts: read } });
});

function watchText(watch: ProofRequest["watch"]): string {
  return watch === null || watch === "same" ? String(watch) : [...watch.items].join(" ");
}
