/** Reads an era1 archive: 8,192 blocks from before Paris as e2store records, each a snappy frame. https://github.com/eth-clients/e2store-format-specs */

export interface Era1Block {
  /** RLP of the header. */
  readonly header: Buffer;
  /** RLP of [transactions, ommers]. */
  readonly body: Buffer;
  /** RLP of the list of receipts. */
  readonly receipts: Buffer;
  readonly totalDifficulty: bigint;
}

const HEADER = 0x03;
const BODY = 0x04;
const RECEIPTS = 0x05;
const TOTAL_DIFFICULTY = 0x06;

/** The blocks of an archive, in order. */
export function* readEra1(archive: Buffer): Generator<Era1Block> {
  let [header, body, receipts]: [Buffer, Buffer, Buffer] = [Buffer.of(), Buffer.of(), Buffer.of()];
  for (let at = 0; at < archive.length;) {
    const type = archive.readUInt16LE(at);
    const length = archive.readUInt32LE(at + 2);
    const data = archive.subarray(at + 8, at + 8 + length);
    at += 8 + length;
    if (type === HEADER) header = unframe(data);
    else if (type === BODY) body = unframe(data);
    else if (type === RECEIPTS) receipts = unframe(data);
    else if (type === TOTAL_DIFFICULTY) {
      const totalDifficulty = BigInt(`0x${Buffer.from(data).reverse().toString("hex")}`);
      yield { header, body, receipts, totalDifficulty };
    }
  }
}

/** Snappy's framing format: chunks of a type, a length of three bytes, and for data four bytes of checksum (not looked at). */
function unframe(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const type = bytes[at];
    const length = bytes.readUIntLE(at + 1, 3);
    const data = bytes.subarray(at + 8, at + 4 + length);
    if (type === 0x00) parts.push(unsnappy(data));
    else if (type === 0x01) parts.push(data);
    at += 4 + length;
  }
  return Buffer.concat(parts);
}

/** One snappy block: its length as a varint, then literals and copies of what is there already. */
function unsnappy(bytes: Buffer): Buffer {
  let at = 0;
  let size = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] as number;
    size |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  const out = Buffer.alloc(size);
  let to = 0;
  while (at < bytes.length) {
    const tag = bytes[at++] as number;
    const kind = tag & 3;
    if (kind === 0) {
      let length = tag >> 2;
      if (length >= 60) {
        const size = length - 59;
        length = bytes.readUIntLE(at, size);
        at += size;
      }
      length++;
      bytes.copy(out, to, at, at + length);
      at += length;
      to += length;
      continue;
    }
    const length = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    const offset = kind === 1 ? ((tag >> 5) << 8) | (bytes[at] as number) : bytes.readUIntLE(at, kind === 2 ? 2 : 4);
    at += kind === 1 ? 1 : kind === 2 ? 2 : 4;
    for (let i = 0; i < length; i++, to++) out[to] = out[to - offset] as number;
  }
  return out;
}
