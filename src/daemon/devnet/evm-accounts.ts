/** The development accounts of the embedded Ethereum node, and the transactions that they sign. Their keys are public knowledge. */
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { type RlpItem, encodeRlp, hexOf, integerBytes, keccak256 } from "../chain/index.ts";

export interface DevAccount {
  readonly address: string;
  readonly secretKey: Uint8Array;
}

/** What a transaction says before it is signed. Hex with 0x; fees in wei. */
export interface TransactionDraft {
  readonly nonce: number;
  readonly to: string;
  readonly value: bigint;
  readonly input: string;
  readonly gasLimit: bigint;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
  /** EIP-4844; none makes it a transaction of type 2, else it is one of type 3. */
  readonly blobVersionedHashes: readonly string[];
  readonly maxFeePerBlobGas: bigint;
}

export interface SignedTransaction extends TransactionDraft {
  readonly type: 2 | 3;
  readonly hash: string;
  readonly from: string;
  readonly chainId: bigint;
  readonly yParity: number;
  readonly r: bigint;
  readonly s: bigint;
  /** What the transactions root is over. */
  readonly raw: Buffer;
}

/** The same accounts at every start. */
export function devAccounts(count: number): DevAccount[] {
  return Array.from({ length: count }, (_, index) => {
    const secretKey = keccak256(Buffer.from(`sprint devnet account ${index}`));
    const point = secp256k1.getPublicKey(secretKey, false);
    return { secretKey, address: hexOf(keccak256(point.subarray(1)).subarray(12)) };
  });
}

/** EIP-1559, EIP-4844 */
export function signTransaction(draft: TransactionDraft, account: DevAccount, chainId: bigint): SignedTransaction {
  const type = draft.blobVersionedHashes.length === 0 ? 2 : 3;
  const blobs = [integerBytes(draft.maxFeePerBlobGas), draft.blobVersionedHashes.map(bytesOf)];
  const fields: RlpItem[] = [
    integerBytes(chainId),
    integerBytes(draft.nonce),
    integerBytes(draft.maxPriorityFeePerGas),
    integerBytes(draft.maxFeePerGas),
    integerBytes(draft.gasLimit),
    bytesOf(draft.to),
    integerBytes(draft.value),
    bytesOf(draft.input),
    [],
    ...(type === 3 ? blobs : []),
  ];
  const encode = (items: readonly RlpItem[]): Buffer => Buffer.concat([Uint8Array.of(type), encodeRlp(items)]);
  const signed = secp256k1.sign(keccak256(encode(fields)), account.secretKey, { prehash: false, format: "recovered" });
  const yParity = signed[0] as number;
  const [r, s] = [signed.subarray(1, 33), signed.subarray(33, 65)].map((part) => BigInt(hexOf(part))) as [
    bigint,
    bigint,
  ];
  const raw = encode([...fields, integerBytes(yParity), integerBytes(r), integerBytes(s)]);
  return { ...draft, type, hash: hexOf(keccak256(raw)), from: account.address, chainId, yParity, r, s, raw };
}

export function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.slice(2), "hex");
}
