/** The words of this room, used by the floors above. Pure: no clock, no randomness, no sockets (`node:crypto` is allowed). */
import type { Block, BlockRef } from "../../shared/block.ts";
import type { BodyReading, WatchSet } from "../../shared/body.ts";
import type { Chain, ChainFamily } from "../../shared/chain.ts";
import type { ErrorCode, ErrorData } from "../../shared/errors.ts";
import type { Validation } from "../../shared/events.ts";

/** What the relay needs of a header, whatever its family. Hashes are as that chain's users print them. */
export interface Header {
  readonly hash: string;
  readonly parentHash: string;
  /** As the header says; null where it does not, and the parent's tells (the Bitcoin family). */
  readonly height: number | null;
  /** What a node is asked by for this block, as in `Block.locator`. */
  readonly locator: string;
}

/** A header of the Bitcoin family as read from the wire. Hashes are display order (reversed hex). */
export interface UtxoHeader extends Header {
  readonly height: null;
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
  /** Serialised; null where a part of the block is not at hand. */
  readonly sizeBytes: number | null;
  /** `header` where the body could not be held against its header: what is told of it is only said. */
  readonly level: Validation;
  /** BIP-141, of the Bitcoin family. */
  readonly weight?: number;
  /** Solana: signatures verified, and signatures there are. */
  readonly signatures?: { readonly checked: number; readonly total: number };
  /** Rules left out for want of data, a phrase each. */
  readonly skipped?: readonly string[];
  /** What the floors above asked to be read. */
  readonly reading?: BodyReading;
}

export interface UtxoFacts extends BodyFacts {
  readonly sizeBytes: number;
  readonly weight: number;
  /** BIP-34 height from the coinbase, null where the block is too old to carry one. */
  readonly coinbaseHeight: number | null;
}

export type BodyVerdict<F extends BodyFacts = BodyFacts> =
  | { readonly ok: true; readonly facts: F }
  | { readonly ok: false; readonly refusal: Refusal };

/** Which block a body is to be, as far as that is known. */
export interface BodyPlace {
  readonly height: number | null;
  /** Of the header that it belongs to; null takes the body's own. */
  readonly hash: string | null;
}

/** How the best chain is chosen: by the work in headers, or by what upstreams say their head is. */
export type ForkChoice = "work" | "heads";

/** All that the relay needs to know of one network, whatever its family. Methods take headers that the chain's own feeds made. */
export interface ChainCodec<H extends Header = Header, F extends BodyFacts = BodyFacts> {
  readonly chain: Chain;
  readonly family: ChainFamily;
  /** "mainnet", "testnet3", "testnet4", "signet", "regtest", … */
  readonly network: string;
  readonly forkChoice: ForkChoice;
  readonly blockTimeSeconds: number;
  /** Depth at which a block counts as final; configurable. Under `heads` only where no upstream tells what is final. */
  readonly finalityDepth: number;
  /** Where the chain begins; null where each start of its nodes makes another (development networks). */
  readonly genesisHash: string | null;
  /** What the header proves by itself: its hash, its work. Synchronous but for scrypt, which runs in the crypto thread pool. */
  checkHeader(header: H): Refusal | null | Promise<Refusal | null>;
  /** Rules that need ancestors: bits, fees, times, a height that follows. `nowSeconds` is Unix time. */
  checkContext(header: H, parent: Ancestor, nowSeconds: number): Refusal | null;
  /** What the best chain is chosen by: expected hashes, or 1 where work is none. */
  weight(header: H): bigint;
  /** `facts` are null while only the header is known. */
  toBlock(header: H, height: number, facts: F | null): Block;
  /** A block whose body was proved. */
  withFacts(block: Block, facts: BodyFacts): Block;
  /** Everything about a body that can be proved of it alone. CPU-heavy: call it in a worker. With `watch` it is also read. */
  checkBody(raw: Uint8Array, place: BodyPlace, watch: WatchSet | null): BodyVerdict<F>;
}

/** A known-good place to start from: the header's own 80 bytes, its height and the chain work up to it. */
export interface Checkpoint {
  readonly height: number;
  readonly header: Uint8Array;
  readonly work: bigint;
}

/** The codec of a network of the Bitcoin family; made by `codecFor`. */
export interface UtxoCodec extends ChainCodec<UtxoHeader, UtxoFacts> {
  readonly family: "utxo";
  readonly genesisHash: string;
  readonly params: NetworkParams;
  /** Reads one header (with its AuxPoW) at `offset`. Throws SprintError SPRINT_DECODE_* on bytes that are none. */
  decodeHeader(bytes: Uint8Array, offset?: number): { readonly header: UtxoHeader; readonly end: number };
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
