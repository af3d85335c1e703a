/** Who signed a transaction: recovered from the signature over its fields, which nothing else in a block proves. */
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { hexOf } from "./json.ts";
import { keccak256 } from "./keccak.ts";
import { bytesInteger, encodeRlp, integerBytes, type RlpItem } from "./rlp.ts";
import { type EvmTransaction, itemOf } from "./transaction.ts";

const LEGACY = 0;
const MAX_SIGNED_TYPE = 4;
const SIGNATURE_FIELDS = 3;
/** EIP-2: the upper half of signatures would name the same sender again. */
const HALF_ORDER = secp256k1.Point.Fn.ORDER / 2n;
const NOTHING = new Uint8Array(0);

/**
 * The sender's address (hex with 0x, lower case), proved by the signature, or by the hash where the transaction names it itself (deposits of
 * the OP stack, system transactions of Nitro). Null where there is none, or the signature is none. About a millisecond of CPU.
 */
export function senderOf(transaction: EvmTransaction): string | null {
  const named = itemOf(transaction, "from");
  if (named instanceof Uint8Array) return hexOf(named);
  const signed = transaction.type <= MAX_SIGNED_TYPE ? signedOf(transaction) : null;
  if (signed === null) return null;
  const { message, parity, r, s } = signed;
  try {
    const signature = new secp256k1.Signature(r, s, parity);
    const key = signature.recoverPublicKey(message).toBytes(false);
    return hexOf(keccak256(key.subarray(1)).subarray(12));
  } catch {
    return null;
  }
}

interface Signed {
  /** What the signature is over. */
  readonly message: Uint8Array;
  readonly parity: number;
  readonly r: bigint;
  readonly s: bigint;
}

function signedOf({ type, items, chainId }: EvmTransaction): Signed | null {
  const [v, r, s] = items.slice(-SIGNATURE_FIELDS).map((item) => bytesInteger(item, "signature")) as [
    bigint,
    bigint,
    bigint,
  ];
  const fields = items.slice(0, -SIGNATURE_FIELDS);
  if (type !== LEGACY) {
    const message = keccak256(Buffer.concat([Uint8Array.of(type), encodeRlp(fields)]));
    return v > 1n || s > HALF_ORDER ? null : { message, parity: Number(v), r, s };
  }
  // EIP-155 signs the chain's id too; before Homestead both halves of s were taken
  const tail: readonly RlpItem[] = chainId === null ? [] : [integerBytes(chainId), NOTHING, NOTHING];
  const parity = chainId === null ? v - 27n : (v - 35n) % 2n;
  if (parity !== 0n && parity !== 1n) return null;
  return { message: keccak256(encodeRlp([...fields, ...tail])), parity: Number(parity), r, s };
}
