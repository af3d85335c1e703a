import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { blake3 } from "@noble/hashes/blake3.js";
import { checkBody } from "../../../src/daemon/chain/body.ts";
import { paramsFor } from "../../../src/daemon/chain/index.ts";
import {
  blockBytes,
  coinbase,
  compactSize,
  sha256d,
  spend,
  type TransactionParts,
  transactionBytes,
} from "../../fakes/blocks.ts";
import { hasData, readData } from "../../fakes/data.ts";

const HEIGHT = 1000;
const skip = !hasData && "no chain data";

function code(raw: Uint8Array, height: number | null = HEIGHT, network = "regtest"): string {
  const verdict = checkBody(raw, height, paramsFor("litecoin", network));
  if (verdict.ok) return ["holds", ...(verdict.facts.skipped ?? [])].join(", ");
  return `${verdict.refusal.code}${verdict.refusal.data["mutated"] === true ? "!" : ""}`;
}

/** The node's own variable-length integer. */
function varInt(value: number): Buffer {
  const bytes = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes.unshift((--rest & 0x7f) | 0x80);
  return Buffer.from(bytes);
}

interface ExtensionParts {
  readonly height?: number;
  readonly kernel?: Buffer;
  readonly kernels?: number;
  readonly inputs?: Buffer;
}

/** An extension block with one kernel or none; `hash` is what the HogEx commits to. */
function extension({ height = HEIGHT, kernel, kernels, inputs }: ExtensionParts = {}): { bytes: Buffer; hash: Buffer } {
  const position = Buffer.alloc(8);
  const root =
    kernel === undefined ? Buffer.alloc(32) : blake3(Buffer.concat([position, compactSize(kernel.length), kernel]));
  const count = kernels ?? (kernel === undefined ? 0 : 1);
  const header = Buffer.concat([varInt(height), Buffer.alloc(32), root, Buffer.alloc(96), varInt(3), varInt(count)]);
  const body = [
    inputs ?? compactSize(0),
    compactSize(0),
    compactSize(kernel === undefined ? 0 : 1),
    kernel ?? Buffer.alloc(0),
  ];
  return { bytes: Buffer.concat([Buffer.from([1]), header, ...body]), hash: Buffer.from(blake3(header)) };
}

const program = (opcode: number, hash: Uint8Array): Buffer => Buffer.concat([Buffer.from([opcode, 32]), hash]);

function hogEx(hash: Uint8Array, parts: Partial<TransactionParts> = {}): TransactionParts {
  return { inputs: [{ txid: Buffer.alloc(32, 7) }], outputs: [{ script: program(0x58, hash) }], hogEx: true, ...parts };
}

function block(transactions: readonly TransactionParts[], bytes: Buffer): Buffer {
  return blockBytes({ transactions, extension: bytes });
}

/** A peg-in of 5, its kernel, and a HogEx that takes it and pays 3 out again. */
function pegged(): {
  pegin: TransactionParts;
  pegoutScript: Buffer;
  kernel: Buffer;
  inputs: TransactionParts["inputs"];
} {
  const pegoutScript = Buffer.from("0014aabb", "hex");
  const features = 1 | 2 | 4 | 8 | 16 | 32;
  const kernel = Buffer.concat([
    Buffer.from([features]),
    varInt(300),
    varInt(5),
    compactSize(1),
    varInt(3),
    compactSize(pegoutScript.length),
    pegoutScript,
    varInt(70_000),
    Buffer.alloc(33, 1),
    compactSize(43),
    Buffer.alloc(43),
    Buffer.alloc(33 + 64, 2),
  ]);
  const pegin = spend(1, { outputs: [{ value: 1n }, { value: 5n, script: program(0x59, blake3(kernel)) }] });
  const inputs = [{ txid: Buffer.alloc(32, 7) }, { txid: sha256d(transactionBytes(pegin, false)), index: 1 }];
  return { pegin, pegoutScript, kernel, inputs };
}

describe("MWEB extension", () => {
  it("holds with an empty body, and with the form that nodes give without it", () => {
    const { bytes, hash } = extension();
    assert.equal(code(block([coinbase(HEIGHT), hogEx(hash)], bytes)), "holds");
    const plain = block([coinbase(HEIGHT), hogEx(hash, { hogEx: false })], Buffer.alloc(0));
    assert.equal(code(plain), "holds, MWEB extension");
  });

  it("is committed to by the first output of the HogEx", () => {
    const { bytes, hash } = extension();
    const other = Buffer.from(hash);
    other[0] = (other[0] ?? 0) ^ 1;
    assert.equal(code(block([coinbase(HEIGHT), hogEx(other)], bytes)), "SPRINT_BLOCK_MWEB_HASH_MISMATCH!");
    const tampered = Buffer.from(bytes);
    tampered[40] = 1;
    assert.equal(code(block([coinbase(HEIGHT), hogEx(hash)], tampered)), "SPRINT_BLOCK_MWEB_HASH_MISMATCH!");
    const elsewhere = hogEx(hash, { outputs: [{ value: 1n }, { script: program(0x58, hash) }] });
    assert.equal(code(block([coinbase(HEIGHT), elsewhere], bytes)), "SPRINT_BLOCK_BAD_HOGEX!");
    const marked = block([coinbase(HEIGHT), spend(1, { hogEx: true })], bytes);
    assert.equal(
      code(marked),
      "SPRINT_BLOCK_BAD_HOGEX!",
      "no transaction id covers the mark: another copy may lack it",
    );
  });

  it("has the height of its block", () => {
    const { bytes, hash } = extension({ height: HEIGHT + 1 });
    assert.equal(code(block([coinbase(HEIGHT), hogEx(hash)], bytes)), "SPRINT_BLOCK_MWEB_HEIGHT_MISMATCH");
  });

  it("has the kernels that its header counts and hashes", () => {
    const kernel = Buffer.alloc(1 + 33 + 64);
    const good = extension({ kernel });
    assert.equal(code(block([coinbase(HEIGHT), hogEx(good.hash)], good.bytes)), "holds");
    const changed = Buffer.from(good.bytes);
    changed[changed.length - 1] = 1;
    assert.equal(code(block([coinbase(HEIGHT), hogEx(good.hash)], changed)), "SPRINT_BLOCK_BAD_MWEB!");
    const miscounted = extension({ kernel, kernels: 2 });
    assert.equal(code(block([coinbase(HEIGHT), hogEx(miscounted.hash)], miscounted.bytes)), "SPRINT_BLOCK_BAD_MWEB!");
  });

  it("is bounded in weight", () => {
    const input = Buffer.concat([
      Buffer.from([2]),
      Buffer.alloc(32 + 33 + 33),
      compactSize(60_000),
      Buffer.alloc(60_000 + 64),
    ]);
    const list = (count: number): Buffer => Buffer.concat([compactSize(count), ...Array<Buffer>(count).fill(input)]);
    const weight = Math.ceil(60_000 / 42);
    const most = Math.floor(200_000 / weight);
    const [fits, exceeds] = [extension({ inputs: list(most) }), extension({ inputs: list(most + 1) })];
    assert.equal(code(block([coinbase(HEIGHT), hogEx(fits.hash)], fits.bytes)), "holds");
    assert.equal(code(block([coinbase(HEIGHT), hogEx(exceeds.hash)], exceeds.bytes)), "SPRINT_BLOCK_BAD_MWEB!");
  });

  it("takes in what the block pegs in, and pays out what its kernels peg out", () => {
    const { pegin, pegoutScript, kernel, inputs } = pegged();
    const { bytes, hash } = extension({ kernel });
    const outputs = [{ script: program(0x58, hash) }, { value: 3n, script: pegoutScript }];
    const full = (parts: Partial<TransactionParts>, before: readonly TransactionParts[] = [pegin]): string =>
      code(block([coinbase(HEIGHT), ...before, hogEx(hash, { inputs, outputs, ...parts })], bytes));
    assert.equal(full({}), "holds");
    assert.equal(full({ inputs: inputs.slice(1) }), "holds", "the first HogEx spends none before it");
    assert.equal(full({ inputs: inputs.slice(0, 1) }), "SPRINT_BLOCK_PEGIN_MISMATCH");
    assert.equal(full({ inputs: [...inputs, { txid: Buffer.alloc(32, 8) }] }), "SPRINT_BLOCK_PEGIN_MISMATCH");
    assert.equal(full({}, []), "SPRINT_BLOCK_PEGIN_MISMATCH");
    assert.equal(full({ outputs: outputs.slice(0, 1) }), "SPRINT_BLOCK_BAD_MWEB!");
    assert.equal(full({ outputs: [outputs[0] ?? {}, { value: 4n, script: pegoutScript }] }), "SPRINT_BLOCK_BAD_MWEB!");
    const stray = [outputs[0] ?? {}, { value: 3n, script: program(0x59, hash) }];
    assert.equal(full({ outputs: stray }), "SPRINT_BLOCK_UNEXPECTED_PEGIN");
    const richer = { ...pegin, outputs: [{ value: 1n }, { value: 6n, script: program(0x59, blake3(kernel)) }] };
    const spent = [inputs[0] ?? {}, { txid: sha256d(transactionBytes(richer, false)), index: 1 }];
    assert.equal(full({ inputs: spent }, [richer]), "SPRINT_BLOCK_BAD_MWEB!", "another amount than the kernel's");
  });

  it("follows the last transaction of blocks from its activation on", () => {
    const { bytes, hash } = extension({ height: 2_265_984 });
    const activation = 2_265_984;
    const last = hogEx(hash);
    assert.equal(code(block([coinbase(HEIGHT), last, spend(1)], Buffer.alloc(0))), "SPRINT_BLOCK_BAD_HOGEX_POSITION!");
    assert.equal(code(block([coinbase(HEIGHT), last], Buffer.from([0]))), "SPRINT_BLOCK_MWEB_MISSING!");
    const early = block([coinbase(activation - 1), last], bytes);
    assert.equal(code(early, activation - 1, "mainnet"), "SPRINT_BLOCK_UNEXPECTED_MWEB_DATA!");
    const bare = block([coinbase(activation), spend(1)], Buffer.alloc(0));
    assert.equal(code(bare, activation, "mainnet"), "SPRINT_BLOCK_HOGEX_MISSING");
    const first = block([coinbase(activation), hogEx(hash, { inputs: [] })], bytes);
    assert.equal(code(first, activation, "mainnet"), "SPRINT_BLOCK_TX_VIN_EMPTY");
    const spending = block([coinbase(activation), last], bytes);
    assert.equal(code(spending, activation, "mainnet"), "SPRINT_BLOCK_PEGIN_MISMATCH", "nothing to spend yet");
  });

  it("is refused where it is cut or lengthened", () => {
    const { kernel, pegin, inputs, pegoutScript } = pegged();
    const { bytes, hash } = extension({ kernel });
    const outputs = [{ script: program(0x58, hash) }, { value: 3n, script: pegoutScript }];
    const raw = block([coinbase(HEIGHT), pegin, hogEx(hash, { inputs, outputs })], bytes);
    for (let cut = 1; cut <= bytes.length; cut++) {
      assert.match(code(raw.subarray(0, raw.length - cut)), /^SPRINT_DECODE_[A-Z]+!$/, `cut by ${cut}`);
    }
    assert.equal(code(Buffer.concat([raw, Buffer.alloc(1)])), "SPRINT_DECODE_TRAILING!");
  });

  it("holds in a node's regtest block in both serialisations, and not when tampered with", { skip }, () => {
    const raw = readData("litecoin/regtest/mweb-432.raw");
    assert.equal(code(raw, 432), "holds");
    assert.equal(raw.length, 2651);
    // the HogEx is the last transaction: drop marker and mark, and the extension behind it
    const extensionBytes = raw.length - hogExEnd(raw);
    const plain = stripped(raw);
    assert.equal(plain.length, 548, "the size that a node gives for a witness block");
    assert.equal(code(plain, 432), "holds, MWEB extension");
    for (const back of [1, 90, extensionBytes - 1, extensionBytes - 40]) {
      const tampered = Buffer.from(raw);
      tampered[raw.length - back] = (tampered[raw.length - back] ?? 0) ^ 1;
      assert.match(code(tampered, 432), /^SPRINT_(BLOCK|DECODE)_/, `${back} bytes from the end`);
    }
  });

  it("holds in real blocks with peg-ins and kernels", { skip }, () => {
    assert.equal(code(readData("litecoin/blocks/2265985.raw"), 2_265_985, "mainnet"), "holds");
    assert.equal(code(readData("litecoin/testnet4/2215584.raw"), 2_215_584, "testnet"), "holds");
  });
});

/** Where the HogEx of `mweb-432.raw` ends: its marked form has one input, and is followed by 0x01 and height 432 (0x8230). */
function hogExEnd(raw: Buffer): number {
  return raw.indexOf(Buffer.from("0000000000018230", "hex")) + 5;
}

function stripped(raw: Buffer): Buffer {
  const end = hogExEnd(raw);
  const start = raw.lastIndexOf(Buffer.from("020000000008", "hex"), end);
  return Buffer.concat([raw.subarray(0, start + 4), raw.subarray(start + 6, end - 5), raw.subarray(end - 4, end)]);
}
