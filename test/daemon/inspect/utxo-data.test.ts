import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hasData } from "../../fakes/data.ts";
import { examine, samples } from "../../fakes/samples.ts";

/** Headers whose scrypt is computed here; all of them are in the printed table (`test/tables/blocks.ts`). */
const SCRYPT_HEADERS = 300;

describe("inspect over all chain data", { skip: !hasData && "no chain data" }, () => {
  const all = hasData ? samples() : [];
  for (const given of all) {
    const { count, headers, chain, refusals, height } = given;
    const long = headers && chain !== "bitcoin" && count > SCRYPT_HEADERS;
    const sample = long ? { ...given, parts: given.parts.map((part) => part.subarray(0, SCRYPT_HEADERS * 80)) } : given;
    it(`${refusals === null ? "takes" : "refuses"} ${given.name}`, async () => {
      const lines = await examine(sample);
      assert.equal(lines.length, long ? SCRYPT_HEADERS : count);
      for (const line of lines) {
        if (refusals === null) assert.deepEqual(line.error, null);
        else
          assert.ok(
            refusals.some((code) => code.test(line.error?.code ?? "valid")),
            line.error?.code ?? "valid",
          );
      }
      const named = lines[0]?.height ?? null;
      if (height !== null && named !== null) assert.equal(named, height);
    });
  }

  it("finds the blocks there are", () => {
    const blocks = all.filter((sample) => sample.refusals === null && !sample.headers);
    assert.equal(
      blocks.reduce((sum, sample) => sum + sample.count, 0),
      600 + 161 + 18 + 4 + 1 + 7 + 2 + 1 + 7 + 8 + 1 + 10 + 4,
    );
  });
});
