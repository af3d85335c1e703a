/** All that the floors above need to know of one network, as one object. */
import { createHash } from "node:crypto";
import type { Block } from "../../shared/block.ts";
import type { WatchSet } from "../../shared/body.ts";
import { checkAuxPowCommitment, checkAuxPowVersion, encodeAuxPow } from "./auxpow.ts";
import { checkBody } from "./body.ts";
import { checkContext } from "./context.ts";
import { displayHash, sha256d } from "./hash.ts";
import { decodeHeader, HEADER_BYTES } from "./header.ts";
import { refuse } from "./refusal.ts";
import type {
  BodyFacts,
  BodyPlace,
  BodyVerdict,
  HeaderRules,
  NetworkParams,
  Refusal,
  UtxoCodec,
  UtxoFacts,
  UtxoHeader,
} from "./types.ts";
import { checkTarget, scryptHash, targetReader, work } from "./work.ts";

/** scrypt results that are kept, so that the second upstream to announce a block costs no second scrypt. Oldest go first. */
const MAX_KNOWN_WORK = 4_096;

/** The codec of one network. Stateless but for its bounded memory of proofs, so one per daemon and network is enough. */
export function codecFor(params: NetworkParams): UtxoCodec {
  const { chain, network, headerRules } = params;
  return {
    chain,
    family: "utxo",
    network,
    forkChoice: "work",
    blockTimeSeconds: params.blockTimeSeconds,
    finalityDepth: params.finalityDepth,
    genesisHash: params.genesisHash,
    params,
    decodeHeader: (bytes, offset = 0) => decodeHeader(bytes, offset, params),
    checkHeader: headerRules.powHash === "sha256d" ? sha256dWork(headerRules) : scryptWork(headerRules),
    checkContext: (header, parent, nowSeconds) => checkContext(header, parent, nowSeconds, headerRules),
    weight: (header) => work(header.bits),
    toBlock: (header, height, facts) => toBlock(params, header, height, facts),
    withFacts,
    checkBody: (raw, place, watch) => checkPlaced(raw, place, params, watch),
  };
}

function sha256dWork(rules: HeaderRules): (header: UtxoHeader) => Refusal | null {
  const targetOf = targetReader(rules.powLimit);
  return (header) => {
    const target = targetOf(header.bits);
    return typeof target === "string" ? checkTarget(header.hash, target) : target;
  };
}

type Verdict = Refusal | null;

function scryptWork(rules: HeaderRules): (header: UtxoHeader) => Verdict | Promise<Verdict> {
  const targetOf = targetReader(rules.powLimit);
  const known = new Map<string, Verdict | Promise<Verdict>>();

  const prove = async (header: UtxoHeader, target: string): Promise<Verdict> => {
    const { auxpow } = header;
    const proof = displayHash(await scryptHash(auxpow?.parentHeader ?? header.raw));
    // The work comes before the branches: whoever wants us to hash a long branch has to pay for it.
    return checkTarget(proof, target) ?? (auxpow === null ? null : checkAuxPowCommitment(header, auxpow));
  };

  return (header) => {
    const target = targetOf(header.bits);
    if (typeof target !== "string") return target;
    const refusal = rules.auxpow === null ? null : checkAuxPowVersion(header, rules.auxpow);
    if (refusal !== null) return refusal;

    const key = proofKey(header);
    const before = known.get(key);
    if (before !== undefined) return before;
    const verdict = prove(header, target);
    known.set(key, verdict);
    if (known.size > MAX_KNOWN_WORK) known.delete(known.keys().next().value as string);
    verdict.then(
      (settled) => known.has(key) && known.set(key, settled),
      () => known.delete(key),
    );
    return verdict;
  };
}

/** Names a proof by all its bytes: the block's hash does not cover the AuxPoW, and one bad proof must not stain the block. */
function proofKey(header: UtxoHeader): string {
  if (header.auxpow === null) return header.hash;
  return createHash("sha256").update(header.raw).update(encodeAuxPow(header.auxpow)).digest("hex");
}

function toBlock(params: NetworkParams, header: UtxoHeader, height: number, facts: UtxoFacts | null): Block {
  return Object.freeze({
    chain: params.chain,
    height,
    hash: header.hash,
    locator: header.hash,
    parentHash: header.parentHash,
    timestamp: header.time,
    txCount: facts?.txCount ?? null,
    sizeBytes: facts?.sizeBytes ?? null,
    detail: Object.freeze({
      family: "utxo",
      version: header.version,
      merkleRoot: header.merkleRoot,
      bits: header.bits,
      nonce: header.nonce,
      auxpow: header.auxpow !== null,
      weight: facts?.weight ?? null,
    }),
  });
}

function withFacts(block: Block, { txCount, sizeBytes, weight }: BodyFacts): Block {
  const detail = Object.freeze({ ...block.detail, weight: weight ?? null });
  return Object.freeze({ ...block, txCount, sizeBytes, detail });
}

/** The body that belongs to the header which was asked for, and to no other. */
function checkPlaced(
  raw: Uint8Array,
  { height, hash }: BodyPlace,
  params: NetworkParams,
  watch: WatchSet | null,
): BodyVerdict<UtxoFacts> {
  if (hash !== null && raw.length >= HEADER_BYTES) {
    const actual = displayHash(sha256d(raw.subarray(0, HEADER_BYTES)));
    if (actual !== hash) return { ok: false, refusal: strange(refuse("SPRINT_BODY_HASH", "block", hash, actual)) };
  }
  return checkBody(raw, height, params, watch);
}

/** Another block than asked for says nothing about the one that was. */
function strange(refusal: Refusal): Refusal {
  return { ...refusal, data: { ...refusal.data, mutated: true } };
}
