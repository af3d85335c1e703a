/** Who signs on the Solana devnet, and the addresses that every Solana network has. */
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { encodeBase58 } from "../chain/index.ts";

export const SVM_PROGRAM = {
  SYSTEM: "11111111111111111111111111111111",
  VOTE: "Vote111111111111111111111111111111111111111",
  MEMO: "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr",
  LOADER: "NativeLoader1111111111111111111111111111111",
} as const;

export const SVM_SYSVAR = {
  SLOT_HASHES: "SysvarS1otHashes111111111111111111111111111",
  CLOCK: "SysvarC1ock11111111111111111111111111111111",
} as const;

export interface SvmSigner {
  /** 32 bytes. */
  readonly key: Uint8Array;
  readonly address: string;
  sign(message: Uint8Array): Uint8Array;
}

/** One that makes blocks and votes on those of the others. Its identity pays for its votes, and may cast them. */
export interface SvmValidator {
  readonly identity: SvmSigner;
  readonly voteAddress: string;
  readonly voteKey: Uint8Array;
  readonly commission: number;
  /** Lamports. */
  stake: number;
  /** One that does not is delinquent after a while. */
  votes: boolean;
}

/** What stands before the 32 bytes of RFC 8032 in PKCS #8 (RFC 8410). */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

/** The same 32 bytes give the same key. */
export function svmSigner(secret: Uint8Array): SvmSigner {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, secret]), format: "der", type: "pkcs8" });
  const publicKey = Buffer.from(createPublicKey(key).export({ format: "jwk" }).x ?? "", "base64url");
  return { key: publicKey, address: encodeBase58(publicKey), sign: (message) => sign(null, message, key) };
}
