/** Blocks of Solana as upstreams announce them. There is no header whose hash could be proved: what is held here is that it may stand where it says. */
import type { Ancestor, Header, Refusal } from "../types.ts";
import { decodeBase58 } from "./base58.ts";
import { checkSvmLink, type SvmHeader } from "./block.ts";
import { attempt, failure } from "./failure.ts";
import { base58Of, wholeNumberOf } from "./json.ts";
import { KEY_BYTES } from "./message.ts";
import type { SvmParams } from "./params.ts";

export interface SvmAnnounced extends Header {
  readonly slot: number;
  readonly parentSlot: number;
  /** Unix seconds, as the validators voted; where that is not known yet, when the block was heard of. */
  readonly timestamp: number;
}

/** What names a block to a node, which knows blocks by slot, and to us, as a slot may have several. */
export function svmLocator(slot: number, hash: string): string {
  return `${slot}:${hash}`;
}

/** Null for what is no locator. */
export function svmLocatorOf(text: string): { readonly slot: number; readonly hash: string } | null {
  const [, digits = "", hash = ""] = /^(0|[1-9]\d{0,15}):([1-9A-HJ-NP-Za-km-z]{32,44})$/.exec(text) ?? [];
  const slot = Number(digits);
  if (digits === "" || !Number.isSafeInteger(slot) || decodeBase58(hash, KEY_BYTES) === null) return null;
  return { slot, hash };
}

/** Shape, and a parent that is below. Nothing else can be proved without the block's entries. */
export function checkAnnounced(header: SvmAnnounced, { genesisHash }: SvmParams): Refusal | null {
  const { slot, parentSlot, hash, parentHash, height, locator, timestamp } = header;
  const checked = attempt(() => {
    wholeNumberOf(slot, "slot");
    wholeNumberOf(parentSlot, "parentSlot");
    wholeNumberOf(timestamp, "blockTime");
    base58Of(hash, "blockhash", KEY_BYTES);
    base58Of(parentHash, "previousBlockhash", KEY_BYTES);
    if (hash === parentHash) throw failure("SPRINT_SVM_BLOCKHASH", "blockhash", "another one than the parent's", hash);
    if (slot > 0 ? parentSlot >= slot : parentSlot !== 0) {
      throw failure("SPRINT_SVM_PARENT_SLOT", "parentSlot", slot > 0 ? `less than ${slot}, the slot` : 0, parentSlot);
    }
    if (slot === 0 && genesisHash !== null && parentHash !== genesisHash) {
      throw failure("SPRINT_SVM_GENESIS", "previousBlockhash of slot 0", genesisHash, parentHash);
    }
    if (height !== null && wholeNumberOf(height, "blockHeight") > (slot > 0 ? parentSlot + 1 : 0)) {
      const expected = `at most ${parentSlot + 1}, as there are no more slots below`;
      throw failure("SPRINT_SVM_HEIGHT", "blockHeight", expected, height);
    }
    if (locator !== svmLocator(slot, hash)) {
      throw failure("SPRINT_SVM_SHAPE", "locator", svmLocator(slot, hash), locator);
    }
  });
  return checked.ok ? null : checked.refusal;
}

/** Links by hash, parent slot and height; slots between are skipped ones, and nothing is missing there. */
export function checkAnnouncedLink(header: SvmAnnounced, { block }: Ancestor): Refusal | null {
  const { hash, height, parentHash, timestamp, detail } = block;
  if (detail.family !== "svm") throw new TypeError(`expected a block of Solana, got one of ${detail.family}`);
  const parent: SvmHeader = { slot: detail.slot, parentSlot: detail.parentSlot, hash, parentHash, height, timestamp };
  return checkSvmLink(parent, header);
}
