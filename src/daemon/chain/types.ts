/** The words of this room, used by the floors above. Pure: no clock, no randomness, no sockets (`node:crypto` is allowed). */
import type { Block, BlockRef } from "../../shared/block.ts";
import type { Chain } from "../../shared/chain.ts";
import type { ErrorCode, ErrorData } from "../../shared/errors.ts";

/** A header as read from the wire. Hashes are display order (reversed hex). */
export interface Header {
  readonly hash: string;
  readonly parentHash: string;
  readonly merkleRoot: string;
  readonly version: number;
  /** Unix seconds. */
  readonly time: number;
  readonly bits: number;
  readonly nonce: number;
  /** Present where the version says so (Dogecoin merged mining). */
  readonly auxpow: AuxPow | null;
  /** The 80 bytes that the hash is taken over. */
  readonly raw: Uint8Array;
}

export interface AuxPow {
  /** The parent chain's coinbase transaction, serialised. */
  readonly coinbase: Uint8Array;
  readonly coinbaseBranch: readonly Uint8Array[];
  readonly coinbaseIndex: number;
  readonly chainBranch: readonly Uint8Array[];
  readonly chainIndex: number;
  /** The parent chain's 80-byte header, whose proof of work counts. */
  readonly parentHeader: Uint8Array;
}

/** Why a header or a body was refused; `null` stands for "holds". Returned, not thrown: refusing is ordinary work. */
export interface Refusal {
  readonly code: ErrorCode;
  /** What was expected, what came. */
  readonly message: string;
  readonly data: ErrorData;
}

/** A header whose place in the chain is known. Nodes of the relay's fork tree have this shape. */
export interface Ancestor {
  readonly block: Block;
  readonly parent: Ancestor | null;
}

/** What a proved body adds to its header. */
export interface BodyFacts {
  readonly txCount: number;
  readonly sizeBytes: number;
  readonly weight: number;
  /** BIP-34 height from the coinbase, null where the block is too old to carry one. */
  readonly coinbaseHeight: number | null;
  /** Rules left out because the height, or the median time past, was not known. */
  readonly skipped?: readonly string[];
}

export type BodyVerdict =
  | { readonly ok: true; readonly facts: BodyFacts }
  | { readonly ok: false; readonly refusal: Refusal };

/** A known-good place to start from: the header's own 80 bytes, its height and the chain work up to it. */
export interface Checkpoint {
  readonly height: number;
  readonly header: Uint8Array;
  readonly work: bigint;
}

/** All that the relay needs to know of one network; made by `codecFor`. */
export interface ChainCodec {
  readonly chain: Chain;
  /** "mainnet", "testnet3", "testnet4", "signet", "regtest" */
  readonly network: string;
  readonly params: NetworkParams;
  /** Reads one header (with its AuxPoW) at `offset`. Throws SprintError SPRINT_DECODE_* on bytes that are none. */
  decodeHeader(bytes: Uint8Array, offset?: number): { readonly header: Header; readonly end: number };
  /** Proof of work alone. Synchronous for SHA-256d; scrypt runs in the crypto thread pool. */
  checkWork(header: Header): Refusal | null | Promise<Refusal | null>;
  /** Rules that need ancestors: bits, median time past, too far in the future, version floor. `nowSeconds` is Unix time. */
  checkContext(header: Header, parent: Ancestor, nowSeconds: number): Refusal | null;
  /** Expected number of hashes behind `bits`; what the best chain is chosen by. */
  work(bits: number): bigint;
  /** Body facts are null while only the header is known. */
  toBlock(header: Header, height: number, facts: BodyFacts | null): Block;
  /** Everything about a serialised block that can be proved without the UTXO set. CPU-heavy: call it in a worker.
   *  `height` is null where it is not known (then rules by height take it from the coinbase, or are skipped and said so). */
  checkBody(raw: Uint8Array, height: number | null): BodyVerdict;
}

/** A row of the parameter table. One per network of a chain. */
export interface NetworkParams {
  readonly chain: Chain;
  readonly network: string;
  /** P2P magic as it stands on the wire, 4 bytes. */
  readonly magic: Uint8Array;
  readonly p2pPort: number;
  readonly rpcPort: number;
  readonly dnsSeeds: readonly string[];
  /** P2P protocol version that we offer. */
  readonly protocolVersion: number;
  /** getdata type for a whole block as this chain's nodes take it (0x40000002, 0x60000002 for MWEB, 2 for Dogecoin). */
  readonly blockInvType: number;
  readonly genesisHash: string;
  readonly genesisHeader: Uint8Array;
  /** Newest built-in checkpoint; null where the chain starts from genesis. */
  readonly checkpoint: Checkpoint | null;
  readonly blockTimeSeconds: number;
  /** Depth at which a block counts as final; configurable. */
  readonly finalityDepth: number;
  /** Serialised size above which a block cannot be valid; a bound for buffers, not the consensus weight rule. */
  readonly maxBlockBytes: number;
  readonly headerRules: HeaderRules;
}

/** Consensus rules of a network's headers. */
export interface HeaderRules {
  /** The function whose result is compared with the target. The block's name is SHA-256d of the header on all chains. */
  readonly powHash: "sha256d" | "scrypt";
  /** Easiest target allowed. */
  readonly powLimit: bigint;
  readonly retarget: RetargetRule;
  /** Heights from which a header's base version must reach a floor (BIP34: 2, BIP66: 3, BIP65: 4), lowest first. */
  readonly versionFloors: readonly { readonly version: number; readonly height: number }[];
  /** How far a header's time may be ahead of ours. */
  readonly maxFutureSeconds: number;
  readonly auxpow: AuxPowRules | null;
}

/** How the bits of the next header follow from its ancestors. */
export type RetargetRule =
  /** Regtest: bits never change. */
  | { readonly kind: "none" }
  | {
      readonly kind: "window";
      readonly intervalBlocks: number;
      readonly timespanSeconds: number;
      /** Litecoin measures the period from the last block of the one before (closes the time-warp hole). */
      readonly fullWindow: boolean;
      /** BIP94 (testnet4): start from the bits of the period's first block, and bound its time. */
      readonly bip94: boolean;
      /** Test networks: a header later than its parent by more than this may carry the easiest target. */
      readonly minDifficultyAfterSeconds: number | null;
    }
  | {
      readonly kind: "dogecoin";
      /** Before DigiShield: a window as above, whose lower clamp depends on height. */
      readonly intervalBlocks: number;
      readonly timespanSeconds: number;
      /** From this height each block retargets. */
      readonly digishieldHeight: number;
      readonly digishieldTimespanSeconds: number;
      /** As above; holds before DigiShield and again after `minDifficultyHeight`. */
      readonly minDifficultyAfterSeconds: number | null;
      /** Parent's height from which the minimum difficulty rule holds for DigiShield blocks too. */
      readonly minDifficultyHeight: number;
    };

export interface AuxPowRules {
  readonly chainId: number;
  /** From here on AuxPoW is allowed and legacy versions are not; before it is the other way round. */
  readonly startHeight: number;
  /** Block must carry our chain id, and the parent must not. */
  readonly strictChainId: boolean;
}

export type { Block, BlockRef };
