import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hasData } from "../../fakes/data.ts";
import { ERA1, evmSamples, examineEvm } from "../../fakes/evm.ts";

/** Blocks of the archive whose work is computed here; all of them are in the printed table (`test/tables/blocks.ts`). */
const ARCHIVE_BLOCKS = 40;
/** A cache takes up to five seconds: of the files with proof of work, these have theirs verified here. */
const WORKED = /\/(468179|bad-pow|mainnet-00000)[.-]/;

describe("inspect over all chain data of Ethereum and its like", { skip: !hasData && "no chain data" }, () => {
  const all = hasData ? evmSamples() : [];
  for (const given of all) {
    const archive = given.name === ERA1;
    const cut = archive ? { ...given, bytes: given.bytes.subarray(0, prefixOf(given.bytes, ARCHIVE_BLOCKS)) } : given;
    const count = archive ? ARCHIVE_BLOCKS : given.count;
    it(`${given.refusal === null ? "takes" : "refuses"} ${given.name}`, async () => {
      const lines = await examineEvm(cut, { work: WORKED.test(given.name) });
      assert.equal(lines.length, count);
      lines.forEach((line, i) => {
        assert.equal(line.height, given.height + i);
        const refusal = i === count - 1 ? given.refusal : null;
        assert.equal(line.error?.code ?? null, refusal, line.error?.message ?? "");
        if (given.receipts !== null)
          assert.deepEqual(
            line.skipped?.filter((rule) => /receipts/.test(rule)),
            [],
          );
      });
    });
  }

  it("finds the files there are", () => {
    const blocks = all.filter((sample) => !sample.headers && sample.count === 1);
    assert.deepEqual(
      [
        blocks.filter(({ name }) => name.includes("/rpc/")).length,
        blocks.filter(({ name }) => name.includes("/rlp/")).length,
      ],
      [30, 16],
    );
    assert.equal(blocks.filter(({ receipts }) => receipts !== null).length, 30 - 1 + 11);
  });
});

/** Where the first `count` blocks end; each has a prefix of three bytes. */
function prefixOf(bytes: Uint8Array, count: number): number {
  let at = 0;
  for (let i = 0; i < count; i++) at += 3 + Buffer.from(bytes).readUInt16BE(at + 1);
  return at;
}
