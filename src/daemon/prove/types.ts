/** What goes between the pool and its workers. */
import type { Chain } from "../../shared/chain.ts";
import type { ErrorCode } from "../../shared/errors.ts";
import type { BodyVerdict } from "../chain/index.ts";

export interface ProofRequest {
  readonly chain: Chain;
  readonly network: string;
  readonly raw: Uint8Array<ArrayBuffer>;
  readonly height: number | null;
}

/** A verdict, or why there could be none: a network without a row, or a fault of this program. */
export type ProofReply =
  | { readonly verdict: BodyVerdict }
  | { readonly error: { readonly code: ErrorCode; readonly message: string } };
