/** A worker that does what the first byte of the "block" says: 1 dies, 2 never answers, 3 calls it mutated, 4 throws, else it says how many bytes it got. */
import { parentPort } from "node:worker_threads";

parentPort?.on("message", ({ raw }: { raw: Uint8Array }) => {
  if (raw[0] === 1) process.exit(3);
  if (raw[0] === 2) return;
  if (raw[0] === 4) throw new Error("thrown in the worker");
  const facts = { txCount: raw.length, sizeBytes: raw.length, weight: 0, coinbaseHeight: null };
  const refusal = { code: "SPRINT_BLOCK_MUTATED", message: "mutated", data: { mutated: true } };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port to a thread has no origin
  parentPort?.postMessage({ verdict: raw[0] === 3 ? { ok: false, refusal } : { ok: true, facts } });
});
