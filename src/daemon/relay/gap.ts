/**
 * Why something is missing from a stream. What a client does with a gap: it takes the next `block` event (`to`, where that is given)
 * as the block to go on from, and drops what it holds of that height and above; up to `from` (where given) what it holds stands, and no
 * more is told of it.
 * `body_unavailable` and `logs_unavailable` are milder: the blocks after `from` up to and with `to` stand, but their `validated` events, or their logs, will not
 * come.
 */
export const GAP = {
  /** The proof of these blocks' bodies cannot be had from any upstream, or was not made by this daemon. */
  BODY_UNAVAILABLE: "body_unavailable",
  /** The cursor is not one of ours, or was damaged. */
  CURSOR_UNREADABLE: "cursor_unreadable",
  /** The block that the cursor names is not known here, nor is one before it. */
  POSITION_UNKNOWN: "position_unknown",
  /** The client's newest blocks are on a fork that this daemon never saw. */
  FORK_UNKNOWN: "fork_unknown",
  /** The client has seen blocks that have not arrived here yet. */
  POSITION_AHEAD: "position_ahead",
  /** This daemon still fetches the chain's headers; the stream goes on with the first block after that. */
  CATCHING_UP: "catching_up",
  /** The blocks after `from` up to and with `to` stand, but their logs are not kept any more. Told to those who listen to logs. */
  LOGS_UNAVAILABLE: "logs_unavailable",
  /** A plug-in of another family or network took the chain over, or none brings it any more: nothing of before is told of any more. */
  CHAIN_REPLACED: "chain_replaced",
  /** More happened since than is replayed at once. */
  BACKLOG_TOO_LARGE: "backlog_too_large",
} as const;
export type GapReason = (typeof GAP)[keyof typeof GAP];
