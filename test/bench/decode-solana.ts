/**
 * Solana: signatures of real blocks beside a bare loop of `crypto.verify` whose keys are ready, which is what Node gives at best;
 * transactions read; proof of history of real slots beside a loop of `crypto.hash`.
 */
import { createPublicKey, hash, type KeyObject, verify } from "node:crypto";
import { accountKey } from "../../src/daemon/chain/svm/message.ts";
import { entriesFromJson, verifyEntries } from "../../src/daemon/chain/svm/poh.ts";
import { decodeBase58 } from "../../src/daemon/chain/svm/base58.ts";
import { checkSvmBlock, svmParams } from "../../src/daemon/chain/index.ts";
import { decodeTransaction, type Transaction, verifySignatures } from "../../src/daemon/chain/svm/transaction.ts";
import { readData } from "../fakes/data.ts";
import type { BlockJson } from "../fakes/solana.ts";
import { type BenchDocument, check, median } from "./document.ts";

/** Of the checks a second of the bare loop. */
const TARGET_SIGNATURES = 0.9;

interface Signed {
  readonly key: KeyObject;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

export function solana(rounds: number): Pick<BenchDocument, "rows" | "checks"> {
  const text = readData("solana/blocks/254170887.json.gz").toString();
  const block = JSON.parse(text) as BlockJson;
  const raw = block.transactions.map(({ transaction }) => Buffer.from((transaction as [string])[0], "base64"));
  const transactions = raw.map(decodeTransaction);
  const bytes = raw.reduce((sum, { length }) => sum + length, 0);
  const signed = transactions.flatMap(signaturesOf);

  const signatures = beside(
    rounds,
    () => verifySignatures(transactions, null),
    () => {
      for (const { key, message, signature } of signed) verify(null, message, key, signature);
    },
  );
  const parsed = beside(rounds, () => {
    for (let i = 0; i < 20; i++) for (const each of raw) decodeTransaction(each);
  });
  const whole = beside(rounds, () => {
    const verdict = checkSvmBlock(JSON.parse(text), {
      params: svmParams("mainnet"),
      sample: { transactions: 0, seed: 1 },
    });
    if (!verdict.ok) throw new Error(verdict.refusal.message);
  });
  const slot = (JSON.parse(readData("solana/blocks/slots-00-09.json").toString()) as BlockJson[])[0] as BlockJson;
  const entries = entriesFromJson(slot.entries);
  const hashes = entries.reduce((sum, { numHashes }) => sum + numHashes, 0);
  const [start, blockhash] = [slot.previousBlockhash, slot.blockhash].map(
    (each) => decodeBase58(each, 32) ?? raw[0],
  ) as [Uint8Array, Uint8Array];
  const history = beside(
    Math.min(rounds, 5),
    () => verifyEntries(entries, { start, blockhash, slots: 1, signatures: [], params: svmParams("mainnet") }),
    () => {
      // a tenth of them: the rest is the same
      let at: Uint8Array = start;
      for (let i = 0; i < hashes / 10; i++) at = hash("sha256", at, "buffer");
    },
    10,
  );
  const perSecond = (count: number, ms: number): string => Math.round((count / ms) * 1000).toLocaleString("en");
  return {
    rows: [
      row(`Solana, ${signed.length} signatures, beside bare crypto.verify`, bytes, signatures),
      row("Solana, transactions read", bytes * 20, parsed),
      row("Solana, a block's JSON read and its messages checked", text.length, whole),
      row(`Solana, proof of history of ${hashes} hashes, beside crypto.hash`, hashes * 32, history),
    ],
    checks: [
      check(
        `Solana, signature checks a second: ${perSecond(signed.length, signatures.ours)} of the ${perSecond(signed.length, signatures.theirs)} that node:crypto does on one core`,
        signatures.ratio,
        ">=",
        TARGET_SIGNATURES,
      ),
    ],
  };
}

function signaturesOf({ signatures, message }: Transaction): Signed[] {
  return signatures.map((signature, i) => ({
    key: createPublicKey({ key: accountKey(message, i), format: "raw-public", asymmetricKeyType: "ed25519" }),
    message: message.bytes,
    signature,
  }));
}

interface Times {
  /** Medians of the rounds, milliseconds; `theirs` is NaN where there is nobody to compare with. */
  readonly ours: number;
  readonly theirs: number;
  /** How much faster ours is: median of the rounds' own ratios. */
  readonly ratio: number;
}

/** Interleaved; who goes first alternates. `theirs` does a `share`th of the work. */
function beside(rounds: number, ours: () => unknown, theirs?: () => unknown, share = 1): Times {
  const [own, other]: [number[], number[]] = [[], []];
  ours();
  for (let round = 0; round < rounds; round++) {
    const turns = [() => own.push(timed(ours)), () => theirs !== undefined && other.push(timed(theirs) * share)];
    for (const turn of round % 2 === 0 ? turns : turns.reverse()) turn();
  }
  const ratios = other.map((ms, i) => ms / (own[i] ?? Number.NaN));
  return { ours: median(own), theirs: median(other), ratio: median(ratios) };
}

function timed(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

function row(what: string, bytes: number, { ours, theirs, ratio }: Times): BenchDocument["rows"][number] {
  const alone = Number.isNaN(theirs);
  return {
    what,
    bytes,
    "sprint MB/s": bytes / ours / 1e3,
    "other MB/s": alone ? null : bytes / theirs / 1e3,
    ratio: alone ? null : ratio,
  };
}
