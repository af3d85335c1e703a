/**
 * The frame around every message of the Bitcoin family, and the reader that takes a byte stream apart.
 *
 *   message  := magic[4] command[12] length[4, LE] checksum[4] payload[length]
 *   command  := 1-12 bytes of printable ASCII, then zeros up to 12
 *   checksum := first 4 bytes of SHA-256(SHA-256(payload))
 *
 * https://developer.bitcoin.org/reference/p2p_networking.html#message-headers
 * https://github.com/bitcoin/bitcoin/blob/v27.0/src/protocol.h#L27 (CMessageHeader)
 */
import { hash } from "node:crypto";
import { SprintError } from "../../shared/errors.ts";

export const FRAME_BYTES = 24;
const COMMAND_BYTES = 12;

/** Core's MAX_PROTOCOL_MESSAGE_LENGTH: 4 MB hold the largest block that Bitcoin and Dogecoin allow; with its MWEB one of
 *  Litecoin may need more. */
export const MAX_PAYLOAD_BYTES = 4_000_000;

/** First allocation for a payload that comes in pieces; from here the buffer doubles as bytes arrive. */
const FIRST_PIECE_BYTES = 65_536;

export function sha256d(bytes: Uint8Array): Buffer {
  return hash("sha256", hash("sha256", bytes, "buffer"), "buffer");
}

/** One framed message, ready for the socket. `magic` is 4 bytes as they stand on the wire. */
export function encodeMessage(magic: Uint8Array, command: string, payload: Uint8Array = EMPTY): Uint8Array {
  const message = Buffer.alloc(FRAME_BYTES + payload.length);
  message.set(magic, 0);
  message.write(command, 4, COMMAND_BYTES, "latin1");
  message.writeUInt32LE(payload.length, 16);
  message.set(sha256d(payload).subarray(0, 4), 20);
  message.set(payload, FRAME_BYTES);
  return message;
}

export interface MessageReaderOptions {
  readonly magic: Uint8Array;
  readonly maxPayloadBytes: number;
}

export interface MessageReaderModules {
  /** Called once for each whole message. `payload` may be a view of the chunk that was pushed: copy what outlives it. */
  readonly onMessage: (command: string, payload: Uint8Array) => void;
}

/**
 * Takes a byte stream in pieces of any size and hands out whole, checked messages. A message inside one chunk is not
 * copied; one in many chunks is gathered in a buffer that doubles as bytes arrive, so memory is bounded by twice what
 * the peer really sent, never by what it declared.
 *
 * `push` throws SPRINT_P2P_BAD_MAGIC, _BAD_COMMAND, _OVERSIZED or _BAD_CHECKSUM; the stream is then out of step and the
 * reader must not be used again.
 */
export class MessageReader {
  readonly #magic: Uint8Array;
  readonly #maxPayloadBytes: number;
  readonly #onMessage: (command: string, payload: Uint8Array) => void;
  readonly #frame = Buffer.alloc(FRAME_BYTES);
  #frameLength = 0;
  /** Of the message whose frame is complete. */
  #command = "";
  #payloadLength = 0;
  #gathered: Buffer = EMPTY;
  #gatheredLength = 0;

  constructor(options: MessageReaderOptions, modules: MessageReaderModules) {
    this.#magic = options.magic;
    this.#maxPayloadBytes = options.maxPayloadBytes;
    this.#onMessage = modules.onMessage;
  }

  /** Bytes held back because their message is not complete. */
  get pendingBytes(): number {
    return this.#frameLength + this.#gatheredLength;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#frameLength < FRAME_BYTES) {
        at = this.#readFrame(chunk, at);
        if (this.#frameLength < FRAME_BYTES) return;
        if (this.#payloadLength > 0) continue;
        this.#deliver(EMPTY);
      } else if (this.#gatheredLength === 0 && chunk.length - at >= this.#payloadLength) {
        const payload = chunk.subarray(at, at + this.#payloadLength);
        at += payload.length;
        this.#deliver(payload);
      } else {
        at = this.#gather(chunk, at);
        if (this.#gatheredLength === this.#payloadLength)
          this.#deliver(this.#gathered.subarray(0, this.#payloadLength));
      }
    }
  }

  #readFrame(chunk: Uint8Array, at: number): number {
    const piece = chunk.subarray(at, at + FRAME_BYTES - this.#frameLength);
    this.#frame.set(piece, this.#frameLength);
    this.#frameLength += piece.length;
    // A stranger's protocol (HTTP, TLS) shows in its first bytes and may never send 24 of them.
    for (let i = 0; i < 4 && i < this.#frameLength; i++) {
      if (this.#frame[i] !== this.#magic[i])
        throw badMagic(this.#magic, this.#frame.subarray(0, Math.min(4, this.#frameLength)));
    }
    if (this.#frameLength === FRAME_BYTES) {
      this.#command = commandOf(this.#frame);
      this.#payloadLength = this.#frame.readUInt32LE(16);
      if (this.#payloadLength > this.#maxPayloadBytes)
        throw oversized(this.#command, this.#payloadLength, this.#maxPayloadBytes);
    }
    return at + piece.length;
  }

  #gather(chunk: Uint8Array, at: number): number {
    const piece = chunk.subarray(at, at + this.#payloadLength - this.#gatheredLength);
    const needed = this.#gatheredLength + piece.length;
    if (needed > this.#gathered.length) {
      const grown = Buffer.allocUnsafeSlow(
        Math.min(this.#payloadLength, Math.max(FIRST_PIECE_BYTES, 2 * this.#gathered.length, needed)),
      );
      this.#gathered.copy(grown, 0, 0, this.#gatheredLength);
      this.#gathered = grown;
    }
    this.#gathered.set(piece, this.#gatheredLength);
    this.#gatheredLength = needed;
    return at + piece.length;
  }

  #deliver(payload: Uint8Array): void {
    const expected = this.#frame.readUInt32LE(20);
    const actual = sha256d(payload).readUInt32LE(0);
    if (expected !== actual) throw badChecksum(this.#command, expected, actual);
    const command = this.#command;
    // Ready for the next message before the callback runs: the payload's buffer now belongs to the callee.
    this.#frameLength = 0;
    this.#gathered = EMPTY;
    this.#gatheredLength = 0;
    this.#onMessage(command, payload);
  }
}

const EMPTY: Buffer = Buffer.alloc(0);

function commandOf(frame: Buffer): string {
  const field = frame.subarray(4, 4 + COMMAND_BYTES);
  const zero = field.indexOf(0);
  const length = zero === -1 ? COMMAND_BYTES : zero;
  const printable = field.subarray(0, length).every((byte) => byte >= 0x20 && byte <= 0x7e);
  if (length === 0 || !printable || !field.subarray(length).every((byte) => byte === 0)) {
    throw new SprintError(
      "SPRINT_P2P_BAD_COMMAND",
      `Expected a command of 1-12 ASCII characters padded with zeros, got bytes ${field.toString("hex")}. Disconnect this peer.`,
      { command: field.toString("hex") },
    );
  }
  return field.toString("latin1", 0, length);
}

function badMagic(expected: Uint8Array, got: Uint8Array): SprintError {
  const [want, have] = [Buffer.from(expected).toString("hex"), Buffer.from(got).toString("hex")];
  return new SprintError(
    "SPRINT_P2P_BAD_MAGIC",
    `Expected network magic ${want}, got ${have}: the peer is on another network or does not speak the Bitcoin protocol. Check its address, port and network.`,
    { expected: want, got: have },
  );
}

function oversized(command: string, lengthBytes: number, maxPayloadBytes: number): SprintError {
  return new SprintError(
    "SPRINT_P2P_OVERSIZED",
    `Expected a payload of at most ${maxPayloadBytes} bytes, the peer declared ${lengthBytes} for "${command}". Disconnect it.`,
    { command, lengthBytes, maxPayloadBytes },
  );
}

function badChecksum(command: string, expected: number, actual: number): SprintError {
  const hex = (value: number) => value.toString(16).padStart(8, "0");
  return new SprintError(
    "SPRINT_P2P_BAD_CHECKSUM",
    `The checksum of "${command}" says ${hex(expected)}, its payload gives ${hex(actual)}: damaged on the way or forged. Disconnect this peer.`,
    { command, expected: hex(expected), actual: hex(actual) },
  );
}
