/** What goes between the pool and its workers. */
import type { WatchSet } from "../../shared/body.ts";
import type { Chain } from "../../shared/chain.ts";
import type { ErrorCode } from "../../shared/errors.ts";
import type { BodyPlace, BodyVerdict } from "../chain/index.ts";
import type { ModuleSource } from "./module.ts";

/** Names a codec in any thread. */
export interface ProofSubject {
  readonly chain: Chain;
  readonly network: string;
  /** The module whose default export is the plug-in that brings this chain; null for a built-in one. */
  readonly plugin: ModuleSource | null;
  /** Of Solana: the share of a block's transactions whose signatures are verified, and what chooses them; null for all. */
  readonly signatures: { readonly share: number; readonly seed: number } | null;
}

/** The same for what the same codec proves. */
export function codecKey({ chain, network, plugin, signatures }: ProofSubject): string {
  return `${chain} ${network} ${plugin?.url ?? ""} ${signatures === null ? "" : `${signatures.share} ${signatures.seed}`}`;
}

export interface ProofRequest {
  readonly subject: ProofSubject;
  readonly raw: Uint8Array<ArrayBuffer>;
  readonly place: BodyPlace;
  /** "same": as this thread was given last for this chain. */
  readonly watch: WatchSet | "same" | null;
}

/** A verdict, or why there could be none: a network without a row, or a fault of this program. */
export type ProofReply =
  | { readonly verdict: BodyVerdict }
  | { readonly error: { readonly code: ErrorCode; readonly message: string } };
