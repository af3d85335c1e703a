/** Signatures of sync committees are checked in a thread of their own: 30-180 ms once in six minutes, that the relay does not wait for. */
import { Worker } from "node:worker_threads";
import { messageOf, SprintError } from "../../shared/errors.ts";
import type { Clock } from "../../shared/clock.ts";
import type { SyncSignature } from "../chain/index.ts";

const TIMEOUT_MS = 30_000;
const MAX_HEAP_MB = 128;
/** The same file as source or as built. */
const WORKER_URL = new URL(
  import.meta.url.endsWith(".ts") ? "./beacon-worker.ts" : "./beacon-worker.js",
  import.meta.url,
);

/** The thread is started for it: kept, it would cost memory all the time that it has nothing to do. Throws SPRINT_BEACON_THREAD. */
export async function verifyInThread(signature: SyncSignature, clock: Clock, signal: AbortSignal): Promise<boolean> {
  signal.throwIfAborted();
  const worker = new Worker(WORKER_URL, {
    workerData: signature,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const failed = (what: string, cause?: unknown): void =>
    reject(new SprintError("SPRINT_BEACON_THREAD", `checking a committee's signature: ${what}`, {}, { cause }));
  worker.once("message", (holds: boolean) => resolve(holds));
  worker.once("error", (error) => failed(messageOf(error), error));
  worker.once("exit", () => failed("the thread ended without an answer"));
  const cancel = clock.after(TIMEOUT_MS, () => failed(`no answer within ${TIMEOUT_MS} ms`));
  const stop = (): void => reject(signal.reason as Error);
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await promise;
  } finally {
    cancel();
    signal.removeEventListener("abort", stop);
    await worker.terminate();
  }
}
