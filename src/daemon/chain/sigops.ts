/** Signature operations as `GetLegacySigOpCount` of Bitcoin Core counts them: by opcode, each multisig as its maximum of 20. */

const OP_PUSHDATA1 = 0x4c;
const OP_PUSHDATA2 = 0x4d;
const OP_PUSHDATA4 = 0x4e;
const OP_CHECKSIG = 0xac;
const OP_CHECKSIGVERIFY = 0xad;
const OP_CHECKMULTISIG = 0xae;
const OP_CHECKMULTISIGVERIFY = 0xaf;
const MULTISIG_OPS = 20;

/** Counts in the script at `start`…`end`. A push that runs over the end ends the count, as it does in nodes. */
export function legacySigOps(bytes: Uint8Array, start: number, end: number): number {
  let count = 0;
  let at = start;
  while (at < end) {
    const opcode = bytes[at++] as number;
    if (opcode < OP_PUSHDATA1) at += opcode;
    else if (opcode <= OP_PUSHDATA4) {
      const lengthBytes = opcode === OP_PUSHDATA1 ? 1 : opcode === OP_PUSHDATA2 ? 2 : 4;
      if (at + lengthBytes > end) return count;
      let length = 0;
      for (let i = lengthBytes - 1; i >= 0; i--) length = length * 256 + (bytes[at + i] as number);
      at += lengthBytes + length;
    } else if (opcode === OP_CHECKSIG || opcode === OP_CHECKSIGVERIFY) count++;
    else if (opcode === OP_CHECKMULTISIG || opcode === OP_CHECKMULTISIGVERIFY) count += MULTISIG_OPS;
  }
  return count;
}
