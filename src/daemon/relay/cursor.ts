/**
 * A cursor names a place in the stream in two ways: as a number in one daemon run's log (exact while that log lasts), and per chain
 * as the blocks that the client has seen (good after a restart, and in any other daemon of the same chains).
 *
 * Bytes, big-endian, written as base64url: version u8 · checksum u16 · run 8 · seq u48 · per chain: index u8 (255: length u8 and name of a plug-in's
 * chain follow) · announced height u32 · end of its hash 8 · blocks from there back to the last validated one u16 · end of that one's hash 8 (absent where it
 * is the same block) · blocks back to the last finalized one u16, whose highest bit says that the logs of the block after the validated one are out.
 */
import type { BlockRef } from "../../shared/block.ts";
import { CHAIN_NAME, CHAINS, type Chain } from "../../shared/chain.ts";
import { GAP } from "./gap.ts";
import type { StreamDraft } from "./types.ts";

/** A block by its height and the end of its hash as 16 hex digits: the last 8 bytes of one in hex (the first are zeros where work is high), the last 8 characters
 *  of one in base58. */
export interface Point {
  readonly height: number;
  readonly tail: string;
}

/** How far one chain's stream has come. */
export interface ChainPosition {
  /** Best block announced. */
  readonly announced: Point;
  /** Highest block whose `validated` event, and those of all before it, is out or will never come. */
  readonly validated: Point;
  /** Highest height told as final, or the last height before the stream began. */
  readonly final: number;
  /** The logs of the block after `validated` are out already. */
  readonly logsAhead: boolean;
}

export type Positions = ReadonlyMap<Chain, ChainPosition>;

export interface Cursor {
  /** The daemon run that `seq` counts in, as hex; `NO_RUN` where only the positions count. */
  readonly run: string;
  readonly seq: number;
  readonly positions: Positions;
}

export const NO_RUN = "0000000000000000";

const VERSION = 1;
const HEAD_BYTES = 17;
const CHAIN_BYTES = 17;
const TAIL_BYTES = 8;
const NAMED = 0xff;
const MAX_NAME_BYTES = 33;
/** Chains of one daemon; a position more would make a cursor too long for a query string. */
export const MAX_CHAINS = 24;
const MAX_BYTES = HEAD_BYTES + MAX_CHAINS * (CHAIN_BYTES + TAIL_BYTES + MAX_NAME_BYTES);
const LOGS_AHEAD = 0x8000;
const HEX_HASH = /^(0x)?[0-9a-f]{64}$/;
const TEXT = new RegExp(`^[A-Za-z0-9_-]{1,${Math.ceil((MAX_BYTES * 4) / 3)}}$`);

export function pointOf(ref: Pick<BlockRef, "height" | "hash">): Point {
  return { height: ref.height, tail: tailOf(ref.hash) };
}

function tailOf(hash: string): string {
  if (HEX_HASH.test(hash)) return hash.slice(-2 * TAIL_BYTES);
  return Buffer.from(hash.slice(-TAIL_BYTES).padStart(TAIL_BYTES), "latin1").toString("hex");
}

export function isAt(point: Point, ref: Pick<BlockRef, "height" | "hash">): boolean {
  return ref.height === point.height && tailOf(ref.hash) === point.tail;
}

/** The position after `event`; null is "nothing of this chain sent yet". */
export function advance(position: ChainPosition | null, event: StreamDraft): ChainPosition | null {
  switch (event.type) {
    case "block": {
      const point = pointOf(event.data);
      if (position === null) {
        const before = { height: point.height - 1, tail: tailOf(event.data.parent_hash) };
        const validated = event.phase === "validated" ? point : before;
        return { announced: point, validated, final: before.height, logsAhead: false };
      }
      return event.phase === "announced"
        ? { ...position, announced: point }
        : { ...position, validated: point, logsAhead: false };
    }
    case "reorg":
      return backTo(position, pointOf(event.data.common_ancestor));
    case "log":
      if (position === null) return null;
      return event.data.removed ? withoutLogs(position, event) : { ...position, logsAhead: true };
    case "watch":
      return position;
    case "finalized":
      return position === null ? null : { ...position, final: event.data.height };
    case "gap":
      if (event.data.reason === GAP.LOGS_UNAVAILABLE) return position;
      if (event.data.reason === GAP.BODY_UNAVAILABLE && event.data.to !== null) {
        return position === null ? null : { ...position, validated: pointOf(event.data.to), logsAhead: false };
      }
      return event.data.from === null ? null : backTo(position, pointOf(event.data.from));
  }
}

/** The logs of a block were taken back, and with them its proof: where the cursor stops here, nothing is taken back twice, or left out where the
 *  block counts again. */
function withoutLogs(
  position: ChainPosition,
  { data: { height }, parentHash }: StreamDraft & { readonly type: "log" },
): ChainPosition {
  if (height > position.validated.height) return { ...position, logsAhead: false };
  return { ...position, validated: { height: height - 1, tail: tailOf(parentHash) }, logsAhead: false };
}

function backTo(position: ChainPosition | null, point: Point): ChainPosition {
  if (position === null) return { announced: point, validated: point, final: point.height, logsAhead: false };
  return {
    announced: point,
    validated: position.validated.height > point.height ? point : position.validated,
    logsAhead: position.logsAhead && position.validated.height < point.height,
    final: Math.min(position.final, point.height),
  };
}

export function encodeCursor(cursor: Cursor): string {
  const bytes = Buffer.alloc(MAX_BYTES);
  bytes.writeUInt8(VERSION, 0);
  bytes.write(cursor.run, 3, "hex");
  bytes.writeUIntBE(cursor.seq, 11, 6);
  let at = HEAD_BYTES;
  for (const [chain, { announced, validated, final, logsAhead }] of cursor.positions) {
    const index = (CHAINS as readonly string[]).indexOf(chain);
    at = bytes.writeUInt8(index < 0 ? NAMED : index, at);
    if (index < 0) {
      at = bytes.writeUInt8(chain.length, at);
      at += bytes.write(chain, at, "latin1");
    }
    at = bytes.writeUInt32BE(announced.height, at);
    at += bytes.write(announced.tail, at, "hex");
    const unproved = distance(announced.height, validated.height);
    at = bytes.writeUInt16BE(unproved, at);
    if (unproved > 0) at += bytes.write(validated.tail, at, "hex");
    const back = Math.min(LOGS_AHEAD - 1, distance(announced.height, final));
    at = bytes.writeUInt16BE(logsAhead ? back | LOGS_AHEAD : back, at);
  }
  bytes.writeUInt16BE(checksum(bytes, at), 1);
  return bytes.toString("base64url", 0, at);
}

/** Null for anything that is not a cursor of this version. */
export function decodeCursor(text: string): Cursor | null {
  if (!TEXT.test(text)) return null;
  const bytes = Buffer.from(text, "base64url");
  if (
    bytes.toString("base64url") !== text ||
    bytes.length < HEAD_BYTES ||
    bytes[0] !== VERSION ||
    bytes.readUInt16BE(1) !== checksum(bytes, bytes.length)
  )
    return null;
  const positions = new Map<Chain, ChainPosition>();
  let at = HEAD_BYTES;
  while (at < bytes.length) {
    if (at + CHAIN_BYTES > bytes.length) return null;
    const index = bytes.readUInt8(at);
    let chain: Chain | undefined = CHAINS[index];
    if (index === NAMED) {
      const length = bytes.readUInt8(at + 1);
      if (at + 1 + length + CHAIN_BYTES > bytes.length) return null;
      const name = bytes.toString("latin1", at + 2, at + 2 + length);
      if (!CHAIN_NAME.test(name)) return null;
      chain = name;
      at += 1 + length;
    }
    const announced = { height: bytes.readUInt32BE(at + 1), tail: bytes.toString("hex", at + 5, at + 13) };
    const unproved = bytes.readUInt16BE(at + 13);
    at += 15;
    let validated: Point = announced;
    if (unproved > 0) {
      if (at + TAIL_BYTES + 2 > bytes.length) return null;
      validated = { height: announced.height - unproved, tail: bytes.toString("hex", at, at + TAIL_BYTES) };
      at += TAIL_BYTES;
    }
    const back = bytes.readUInt16BE(at);
    const final = announced.height - (back & (LOGS_AHEAD - 1));
    const logsAhead = (back & LOGS_AHEAD) !== 0;
    at += 2;
    // A chain of a later version is skipped: this daemon has nothing to say about it.
    if (chain !== undefined) positions.set(chain, { announced, validated, final, logsAhead });
  }
  return { run: bytes.toString("hex", 3, 11), seq: bytes.readUIntBE(11, 6), positions };
}

function distance(from: number, to: number): number {
  return Math.min(0xffff, Math.max(0, from - to));
}

/** FNV-1a over all but the checksum itself, folded to 16 bits: tells damage and chance input, not forgery. */
function checksum(bytes: Uint8Array, end: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < end; index++) {
    if (index === 1 || index === 2) continue;
    hash = Math.imul(hash ^ (bytes[index] ?? 0), 0x01000193);
  }
  return ((hash >>> 16) ^ hash) & 0xffff;
}
