/** One thread of the pool: proves one block at a time. */
import { parentPort } from "node:worker_threads";
import type { WatchSet } from "../../shared/body.ts";
import { isSprintError, messageOf } from "../../shared/errors.ts";
import { CHAIN_KIT, type ChainCodec, type ChainPlugin, codecOf } from "../chain/index.ts";
import { importSource, type ModuleSource } from "./module.ts";
import { codecKey, type ProofReply, type ProofRequest, type ProofSubject } from "./types.ts";

/** One codec a network and way of sampling; there are as many as chains of this daemon. */
const codecs = new Map<string, ChainCodec | Promise<ChainCodec>>();
/** What was looked for last, by chain. */
const watched = new Map<string, WatchSet>();

async function prove({ subject, raw, place, watch }: ProofRequest): Promise<ProofReply> {
  try {
    if (watch !== null && watch !== "same") watched.set(subject.chain, watch);
    const codec = await codecFor(subject);
    const wanted = watch === "same" ? (watched.get(subject.chain) ?? null) : watch;
    return { verdict: codec.checkBody(raw, place, wanted) };
  } catch (error) {
    return { error: { code: isSprintError(error) ? error.code : "SPRINT_PROVE_FAILED", message: messageOf(error) } };
  }
}

function codecFor(subject: ProofSubject): ChainCodec | Promise<ChainCodec> {
  const { chain, network, plugin, signatures } = subject;
  const name = codecKey(subject);
  const known = codecs.get(name);
  if (known !== undefined) return known;
  const sampled = signatures === null ? {} : { signatures: signatures.share, seed: signatures.seed };
  const codec = plugin === null ? codecOf(chain, network, sampled) : pluginCodec(plugin, network);
  codecs.set(name, codec);
  return codec;
}

/** What a plug-in is was checked when the daemon took it; here only its codec is needed. */
async function pluginCodec(module: ModuleSource, network: string): Promise<ChainCodec> {
  const { default: plugin } = (await importSource(module)) as { default: ChainPlugin };
  return plugin(CHAIN_KIT).codec(network);
}

parentPort?.on("message", async (request: ProofRequest) => {
  const reply = await prove(request);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port to a thread has no origin
  parentPort?.postMessage(reply);
});
