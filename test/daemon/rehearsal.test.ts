import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "../../src/shared/clock.ts";
import { PROVER_DEFAULTS, Prover } from "../../src/daemon/prove/index.ts";
import { rehearse } from "../../src/daemon/rehearsal.ts";

describe("the rehearsal", () => {
  it("runs blocks the whole way, of Bitcoin always and of an EVM chain where one is relayed", async () => {
    const prover = new Prover(PROVER_DEFAULTS);
    try {
      // How many depends on the machine: it ends after some seconds.
      const { utxo = 0, evm = 0, ...others } = await rehearse(new Set(["evm", "svm"]), { clock: systemClock, prover });
      assert.ok(utxo > 0 && evm > 0, `${utxo}, ${evm}`);
      assert.deepEqual(others, {});
      assert.deepEqual(Object.keys(await rehearse(new Set(["svm"]), { clock: systemClock, prover })), ["utxo"]);
    } finally {
      await prover.close();
    }
  });
});
