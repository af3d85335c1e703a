/** One thread of the pool: proves one block at a time. */
import { parentPort } from "node:worker_threads";
import { isSprintError, messageOf } from "../../shared/errors.ts";
import { type ChainCodec, codecFor, paramsFor } from "../chain/index.ts";
import type { ProofReply, ProofRequest } from "./types.ts";

/** One codec a network; there are as many as rows in the table. */
const codecs = new Map<string, ChainCodec>();

function prove({ chain, network, raw, height }: ProofRequest): ProofReply {
  try {
    const name = `${chain} ${network}`;
    const codec = codecs.get(name) ?? codecFor(paramsFor(chain, network));
    codecs.set(name, codec);
    return { verdict: codec.checkBody(raw, height) };
  } catch (error) {
    return { error: { code: isSprintError(error) ? error.code : "SPRINT_PROVE_FAILED", message: messageOf(error) } };
  }
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port to a thread has no origin
parentPort?.on("message", (request: ProofRequest) => parentPort?.postMessage(prove(request)));
