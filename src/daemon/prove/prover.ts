/**
 * A bounded pool of threads that prove block bodies, so that hashing never blocks the thread that relays. Threads start with the
 * first work for them and stay; one that dies or overruns its time is replaced, and its job fails.
 */
import { hash } from "node:crypto";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { WatchSet } from "../../shared/body.ts";
import { type Cancel, type Clock, systemClock } from "../../shared/clock.ts";
import { messageOf, SprintError } from "../../shared/errors.ts";
import type { BodyFacts, BodyPlace, BodyVerdict } from "../chain/index.ts";
import { codecKey, type ProofReply, type ProofRequest, type ProofSubject } from "./types.ts";

export interface ProverOptions {
  /** Threads at most. */
  readonly threads: number;
  /** Blocks that may wait for a thread; more are refused with SPRINT_PROVE_OVERLOADED. */
  readonly maxQueued: number;
  /** Time for one block, from when a thread has it. */
  readonly timeoutMs: number;
}

export interface ProverModules {
  readonly clock: Clock;
  readonly workerUrl: URL;
}

export const PROVER_DEFAULTS: ProverOptions = {
  threads: Math.max(1, availableParallelism() - 1),
  maxQueued: 64,
  timeoutMs: 30_000,
};

/** Verdicts that are kept. */
const MAX_KNOWN = 1024;
const MAX_HEAP_MB = 256;
const HEADER_BYTES = 80;
/** The same file as source or as built. */
const WORKER_URL = new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url);

interface Job {
  readonly request: ProofRequest & { readonly watch: WatchSet | null };
  readonly resolve: (verdict: BodyVerdict) => void;
  readonly reject: (error: SprintError) => void;
}

interface Thread {
  readonly worker: Worker;
  job: Job | null;
  cancelDeadline: Cancel;
  /** What its worker was last told to look for, by chain. */
  readonly watched: Map<string, WatchSet>;
}

export class Prover {
  readonly #options: ProverOptions;
  readonly #modules: ProverModules;
  readonly #threads = new Set<Thread>();
  readonly #queue: Job[] = [];
  /** Verdicts about blocks, least recently used first. */
  readonly #known = new Map<string, BodyVerdict>();
  readonly #running = new Map<string, Promise<BodyVerdict>>();
  #pending = 0;
  #closed = false;

  constructor(options: ProverOptions, modules: Partial<ProverModules> = {}) {
    this.#options = options;
    this.#modules = { clock: systemClock, workerUrl: WORKER_URL, ...modules };
  }

  /**
   * Proves one body as `ChainCodec.checkBody` does. A verdict is about the block that the header names: one that is
   * known is given again for another copy of the same length, unless it is to be read for `watch`; a refusal that may be the copy's own fault
   * (`data.mutated`) is not kept. Rejects with SPRINT_PROVE_OVERLOADED, SPRINT_PROVE_TIMEOUT, SPRINT_PROVE_CRASHED, SPRINT_PROVE_CLOSED, or
   * what the codec has against the network.
   */
  async check(subject: ProofSubject, raw: Uint8Array, place: BodyPlace, watch: WatchSet | null): Promise<BodyVerdict> {
    const { threads, maxQueued } = this.#options;
    if (this.#pending >= threads + maxQueued) {
      throw new SprintError(
        "SPRINT_PROVE_OVERLOADED",
        `proof queue: expected at most ${maxQueued} blocks waiting, got one more; try again when some are done`,
        { expected: maxQueued, actual: maxQueued + 1 },
      );
    }
    const name = place.hash ?? hash("sha256", raw.subarray(0, HEADER_BYTES));
    const key = `${codecKey(subject)} ${place.height ?? "?"} ${raw.length} ${name}`;
    this.#pending++;
    try {
      // of copies that come together one is proved; the next only if that said nothing about the block
      for (let running = this.#running.get(key); running !== undefined; running = this.#running.get(key)) {
        await running.catch(() => null);
      }
      const known = this.#recall(key);
      if (known !== undefined && (watch === null || !known.ok)) return known;
      // the copy goes to the thread; what it was made of may be part of a larger buffer, or not be ours to give
      const verdict = this.#submit({ subject, raw: new Uint8Array(raw), place, watch });
      this.#running.set(key, verdict);
      try {
        this.#remember(key, await verdict);
      } finally {
        this.#running.delete(key);
      }
      return await verdict;
    } finally {
      this.#pending--;
    }
  }

  /** Stops all threads; what was not done yet is rejected with SPRINT_PROVE_CLOSED. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const job of this.#queue.splice(0)) job.reject(closed());
    await Promise.all([...this.#threads].map((thread) => this.#dismiss(thread, closed())));
  }

  #recall(key: string): BodyVerdict | undefined {
    const known = this.#known.get(key);
    if (known !== undefined) {
      this.#known.delete(key);
      this.#known.set(key, known);
    }
    return known;
  }

  #remember(key: string, verdict: BodyVerdict): void {
    if (!verdict.ok && verdict.refusal.data["mutated"] === true) return;
    this.#known.set(key, verdict.ok ? { ok: true, facts: withoutReading(verdict.facts) } : verdict);
    if (this.#known.size > MAX_KNOWN) this.#known.delete(this.#known.keys().next().value as string);
  }

  #submit(request: Job["request"]): Promise<BodyVerdict> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closed());
      this.#queue.push({ request, resolve, reject });
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const thread = this.#idleThread();
      if (thread === null) return;
      this.#start(thread, this.#queue.shift() as Job);
    }
  }

  #idleThread(): Thread | null {
    for (const thread of this.#threads) if (thread.job === null) return thread;
    return this.#threads.size < this.#options.threads ? this.#hire() : null;
  }

  #hire(): Thread {
    const worker = new Worker(this.#modules.workerUrl, { resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB } });
    const thread: Thread = { worker, job: null, cancelDeadline: () => {}, watched: new Map() };
    worker.on("message", (reply: ProofReply) => this.#finish(thread, reply));
    worker.on("error", (error) => void this.#dismiss(thread, crashed(messageOf(error))));
    worker.on("exit", (code) => void this.#dismiss(thread, crashed(`exit code ${code}`)));
    this.#threads.add(thread);
    return thread;
  }

  /** A thread at work keeps the process alive, an idle one does not. */
  #start(thread: Thread, job: Job): void {
    thread.job = job;
    thread.worker.ref();
    const { timeoutMs } = this.#options;
    thread.cancelDeadline = this.#modules.clock.after(timeoutMs, () => {
      void this.#dismiss(
        thread,
        new SprintError(
          "SPRINT_PROVE_TIMEOUT",
          `proof of a block: expected within ${timeoutMs} ms, got none; its thread was replaced`,
          {
            expected: timeoutMs,
          },
        ),
      );
    });
    const { request } = job;
    const { chain } = request.subject;
    const isSame = request.watch !== null && thread.watched.get(chain) === request.watch;
    if (request.watch !== null) thread.watched.set(chain, request.watch);
    thread.worker.postMessage(isSame ? { ...request, watch: "same" } : request, [request.raw.buffer]);
  }

  #finish(thread: Thread, reply: ProofReply): void {
    const { job } = thread;
    if (job === null) return;
    thread.cancelDeadline();
    thread.job = null;
    thread.worker.unref();
    if ("verdict" in reply) job.resolve(reply.verdict);
    else job.reject(new SprintError(reply.error.code, reply.error.message));
    this.#dispatch();
  }

  async #dismiss(thread: Thread, reason: SprintError): Promise<void> {
    if (!this.#threads.delete(thread)) return;
    thread.cancelDeadline();
    thread.job?.reject(reason);
    thread.job = null;
    if (!this.#closed) this.#dispatch();
    await thread.worker.terminate();
  }
}

function withoutReading(facts: BodyFacts): BodyFacts {
  if (facts.reading === undefined) return facts;
  const { reading, ...rest } = facts;
  void reading;
  return rest;
}

function crashed(detail: string): SprintError {
  return new SprintError(
    "SPRINT_PROVE_CRASHED",
    `proof of a block: expected a verdict, got a dead thread (${detail}); it was replaced`,
    {
      actual: detail,
    },
  );
}

function closed(): SprintError {
  return new SprintError("SPRINT_PROVE_CLOSED", "proof of a block: expected an open pool, got a closed one", {});
}
