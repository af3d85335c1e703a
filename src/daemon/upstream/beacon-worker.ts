/** A thread that checks one signature, given as its data, and ends. */
import { parentPort, workerData } from "node:worker_threads";
import { holdsSyncSignature, type SyncSignature } from "../chain/index.ts";

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port to a thread has no origin
parentPort?.postMessage(await holdsSyncSignature(workerData as SyncSignature));
