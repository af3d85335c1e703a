/** One thread of the pool: proves one block at a time. */
import { parentPort } from "node:worker_threads";
import type { WatchSet } from "../../shared/body.ts";
import { isSprintError, messageOf } from "../../shared/errors.ts";
import { CHAIN_KIT, type ChainCodec, type ChainPlugin, codecOf } from "../chain/index.ts";
import type { ProofReply, ProofRequest, ProofSubject } from "./types.ts";

/** One codec a network; there are as many as rows in the table. */
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

function codecFor({ chain, network, plugin }: ProofSubject): ChainCodec | Promise<ChainCodec> {
  const name = `${chain} ${network} ${plugin ?? ""}`;
  const known = codecs.get(name);
  if (known !== undefined) return known;
  const codec = plugin === null ? codecOf(chain, network) : pluginCodec(plugin, network);
  codecs.set(name, codec);
  return codec;
}

/** What a plug-in is was checked when the daemon took it; here only its codec is needed. */
async function pluginCodec(url: string, network: string): Promise<ChainCodec> {
  const { default: plugin } = (await import(url)) as { default: ChainPlugin };
  return plugin(CHAIN_KIT).codec(network);
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port to a thread has no origin
parentPort?.on(
  "message",
  (request: ProofRequest) => void prove(request).then((reply) => parentPort?.postMessage(reply)),
);
