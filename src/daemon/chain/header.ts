/** Block headers: 80 bytes, followed on merged-mined chains by the AuxPoW that the version announces. */
import { SprintError } from "../../shared/errors.ts";
import { decodeAuxPow, encodeAuxPow, hasAuxPowVersion } from "./auxpow.ts";
import { displayHash, sha256d, wireHash } from "./hash.ts";
import { ByteReader, readU32 } from "./reader.ts";
import type { UtxoHeader, NetworkParams } from "./types.ts";

export const HEADER_BYTES = 80;

/**
 * Reads one header at `offset`; `end` is the offset behind it and its AuxPoW. Nothing is judged but the form.
 * `Header.raw` and the parts of the AuxPoW are copies, so a header that is kept does not hold the message that it came in.
 * Throws SPRINT_DECODE_TRUNCATED, SPRINT_DECODE_VARINT, SPRINT_DECODE_LIMIT or SPRINT_DECODE_AUXPOW.
 */
export function decodeHeader(
  bytes: Uint8Array,
  offset: number,
  params: Pick<NetworkParams, "headerRules">,
): { readonly header: UtxoHeader; readonly end: number } {
  const reader = new ByteReader(bytes, offset);
  const raw = new Uint8Array(reader.take(HEADER_BYTES, "block header"));
  const version = readU32(raw, 0) | 0;
  const auxpow = params.headerRules.auxpow !== null && hasAuxPowVersion(version) ? decodeAuxPow(reader) : null;
  const hash = displayHash(sha256d(raw));
  const header: UtxoHeader = {
    hash,
    locator: hash,
    height: null,
    parentHash: displayHash(raw.subarray(4, 36)),
    merkleRoot: displayHash(raw.subarray(36, 68)),
    version,
    time: readU32(raw, 68),
    bits: readU32(raw, 72),
    nonce: readU32(raw, 76),
    auxpow,
    raw,
  };
  return { header, end: reader.offset };
}

/** The serialised form: 80 bytes, and the AuxPoW where there is one. */
export function encodeHeader(header: Pick<UtxoHeader, "raw" | "auxpow">): Buffer {
  return header.auxpow === null ? Buffer.from(header.raw) : Buffer.concat([header.raw, encodeAuxPow(header.auxpow)]);
}

export interface HeaderFields {
  readonly version: number;
  readonly parentHash: string;
  readonly merkleRoot: string;
  readonly time: number;
  readonly bits: number;
  readonly nonce: number;
}

/** The 80 bytes of a header from its fields; hashes in display order. */
export function headerBytes(fields: HeaderFields): Buffer {
  const raw = Buffer.alloc(HEADER_BYTES);
  raw.writeInt32LE(fields.version | 0, 0);
  raw.set(hash32(fields.parentHash, "parentHash"), 4);
  raw.set(hash32(fields.merkleRoot, "merkleRoot"), 36);
  raw.writeUInt32LE(fields.time, 68);
  raw.writeUInt32LE(fields.bits, 72);
  raw.writeUInt32LE(fields.nonce, 76);
  return raw;
}

function hash32(display: string, what: string): Buffer {
  if (!/^[0-9a-f]{64}$/i.test(display)) {
    throw new SprintError(
      "SPRINT_DECODE_HASH",
      `${what}: expected 64 hex digits, got ${JSON.stringify(display.slice(0, 80))}`,
      {
        expected: "64 hex digits",
        actual: display.slice(0, 80),
      },
    );
  }
  return wireHash(display);
}
