/**
 * Base58 with Bitcoin's alphabet, in which Solana writes hashes, keys, signatures and instruction data. Reading is strict:
 * each run of bytes has one spelling, and only that is taken. Work grows with the square of the length, so the length is bounded.
 */
const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/** Four digits at a time: 58^4, and limbs of three bytes, whose products a double holds exactly. */
const DIGITS = 4;
const DIGITS_BASE = 58 ** DIGITS;
const LIMB_BYTES = 3;
const LIMB_BASE = 2 ** 24;
const NO_DIGIT = 255;
/** Longest run of bytes that is read or written; a transaction has 1,232. */
export const MAX_BASE58_BYTES = 1_280;
/** log(256) / log(58), rounded up. */
const DIGITS_PER_BYTE = 1.3658;

const VALUES = Uint8Array.from({ length: 128 }, (_, code) => {
  const value = ALPHABET.indexOf(String.fromCharCode(code));
  return value < 0 ? NO_DIGIT : value;
});

/** The limbs of the number that is worked on; nothing of it outlives a call. */
const limbs = new Float64Array(Math.ceil((MAX_BASE58_BYTES * DIGITS_PER_BYTE) / DIGITS) + 1);

/** The bytes of `text`, `sizeBytes` of them exactly; null for anything else. */
export function decodeBase58(text: string, sizeBytes: number): Uint8Array | null {
  const bytes = decodeBase58Bounded(text, sizeBytes);
  return bytes?.length === sizeBytes ? bytes : null;
}

/** The bytes of `text`, at most `maxBytes` (itself at most 1,280); null for a foreign character or more bytes than that. */
export function decodeBase58Bounded(text: string, maxBytes: number): Uint8Array | null {
  const { length } = text;
  if (maxBytes > MAX_BASE58_BYTES || length > Math.ceil(maxBytes * DIGITS_PER_BYTE)) return null;
  let zeros = 0;
  while (zeros < length && text.charCodeAt(zeros) === 0x31) zeros++;
  let used = 0;
  // the first group takes what is left over of whole ones
  for (let at = zeros, end = zeros + ((length - zeros) % DIGITS || DIGITS); at < length; end += DIGITS) {
    let carry = 0;
    let scale = 1;
    for (; at < end; at++) {
      const value = VALUES[text.charCodeAt(at)] ?? NO_DIGIT;
      if (value === NO_DIGIT) return null;
      carry = carry * 58 + value;
      scale *= 58;
    }
    for (let i = 0; i < used; i++) {
      const sum = (limbs[i] as number) * scale + carry;
      carry = Math.floor(sum / LIMB_BASE);
      limbs[i] = sum - carry * LIMB_BASE;
    }
    if (carry > 0) limbs[used++] = carry;
  }
  return fromLimbs(zeros, used, maxBytes);
}

function fromLimbs(zeros: number, used: number, maxBytes: number): Uint8Array | null {
  const top = used === 0 ? 0 : (limbs[used - 1] as number);
  const topBytes = top === 0 ? 0 : top < 0x100 ? 1 : top < 0x1_0000 ? 2 : 3;
  const size = zeros + Math.max(0, used - 1) * LIMB_BYTES + topBytes;
  if (size > maxBytes) return null;
  const bytes = new Uint8Array(size);
  for (let i = 0, at = size - 1; i < used; i++) {
    const limb = limbs[i] as number;
    for (let shift = 0; shift < 24 && at >= zeros; shift += 8) bytes[at--] = limb >>> shift;
  }
  return bytes;
}

/** Throws RangeError on more than 1,280 bytes: the caller knows what it writes. */
export function encodeBase58(bytes: Uint8Array): string {
  const { length } = bytes;
  if (length > MAX_BASE58_BYTES) throw new RangeError(`expected at most ${MAX_BASE58_BYTES} bytes, got ${length}`);
  let zeros = 0;
  while (zeros < length && bytes[zeros] === 0) zeros++;
  let used = 0;
  for (let at = zeros, end = zeros + ((length - zeros) % LIMB_BYTES || LIMB_BYTES); at < length; end += LIMB_BYTES) {
    let carry = 0;
    let scale = 1;
    for (; at < end; at++) {
      carry = carry * 0x100 + (bytes[at] as number);
      scale *= 0x100;
    }
    for (let i = 0; i < used; i++) {
      const sum = (limbs[i] as number) * scale + carry;
      carry = Math.floor(sum / DIGITS_BASE);
      limbs[i] = sum - carry * DIGITS_BASE;
    }
    while (carry > 0) {
      const rest = Math.floor(carry / DIGITS_BASE);
      limbs[used++] = carry - rest * DIGITS_BASE;
      carry = rest;
    }
  }
  let text = "";
  for (let i = 0; i < used; i++) {
    let limb = limbs[i] as number;
    for (let left = DIGITS; left > 0; left--) {
      text = ALPHABET.charAt(limb % 58) + text;
      limb = Math.floor(limb / 58);
    }
  }
  return "1".repeat(zeros) + text.replace(/^1+/, "");
}
