/** Builds merged-mining proofs, right by default and wrong on demand. The parent's work is not real unless it is mined. */
import { createHash } from "node:crypto";
import { headerBytes, type AuxPow } from "../../src/daemon/chain/index.ts";

export interface Forgery {
  /** Siblings on the way from the block to the root of chains. */
  readonly chainBranch?: readonly Uint8Array[];
  readonly chainIndex?: number;
  readonly coinbaseIndex?: number;
  readonly coinbaseBranch?: readonly Uint8Array[];
  readonly nonce?: number;
  readonly size?: number;
  /** Bytes before the commitment in the coinbase script, and behind it. */
  readonly before?: Uint8Array;
  readonly behind?: Uint8Array;
  readonly magic?: Uint8Array;
  readonly parentVersion?: number;
  readonly withWitness?: boolean;
}

const MAGIC = Buffer.from("fabe6d6d", "hex");

/** A proof that commits to the block `hash` (display order) as the only merged-mined chain, changed as `forgery` says. */
export function forgeAuxPow(hash: string, forgery: Forgery = {}): AuxPow {
  const chainBranch = forgery.chainBranch ?? [];
  const chainIndex = forgery.chainIndex ?? 0;
  const root = climb(Buffer.from(hash, "hex").reverse(), chainBranch, chainIndex).reverse();
  const script = Buffer.concat([
    forgery.before ?? Buffer.from("03010203", "hex"),
    forgery.magic ?? MAGIC,
    root,
    u32(forgery.size ?? 2 ** chainBranch.length),
    u32(forgery.nonce ?? 0),
    forgery.behind ?? Buffer.alloc(0),
  ]);
  const version = Buffer.from("01000000", "hex");
  const body = Buffer.concat([
    Buffer.from([1]),
    Buffer.alloc(32),
    Buffer.from("ffffffff", "hex"),
    Buffer.from([script.length]),
    script,
    Buffer.from("ffffffff", "hex"),
    Buffer.from([1]),
    Buffer.alloc(8),
    Buffer.from([1, 0x51]),
  ]);
  const lockTime = Buffer.alloc(4);
  const plain = Buffer.concat([version, body, lockTime]);
  const witness = Buffer.concat([Buffer.from([1, 32]), Buffer.alloc(32)]);
  const coinbaseBranch = forgery.coinbaseBranch ?? [];
  const merkleRoot = climb(sha256d(plain), coinbaseBranch, forgery.coinbaseIndex ?? 0);
  return {
    coinbase: forgery.withWitness ? Buffer.concat([version, Buffer.from([0, 1]), body, witness, lockTime]) : plain,
    coinbaseBranch,
    coinbaseIndex: forgery.coinbaseIndex ?? 0,
    chainBranch,
    chainIndex,
    parentHeader: headerBytes({
      version: forgery.parentVersion ?? 0x2000_0000,
      parentHash: "00".repeat(32),
      merkleRoot: Buffer.from(merkleRoot).reverse().toString("hex"),
      time: 1_700_000_000,
      bits: 0x207fffff,
      nonce: 0,
    }),
  };
}

function climb(leaf: Buffer, branch: readonly Uint8Array[], index: number): Buffer {
  return branch.reduce<Buffer>(
    (node, sibling, level) => sha256d(Buffer.concat((index >>> level) & 1 ? [sibling, node] : [node, sibling])),
    Buffer.from(leaf),
  );
}

function sha256d(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(createHash("sha256").update(bytes).digest()).digest();
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}
