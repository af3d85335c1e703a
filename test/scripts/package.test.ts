/** What others import from the package, as they import it: from the built files, by the names in `exports`. */
import { execFileSync } from "node:child_process";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

test("bitcoin-sprint/breaker is a breaker, with nothing installed but the package", () => {
  execFileSync(process.execPath, ["scripts/run.mjs", "build"], { cwd: ROOT, stdio: "pipe" });
  const program = `
    import { BreakerPool, FAILURE, policyOf } from "bitcoin-sprint/breaker";
    const pool = new BreakerPool({ capacity: 1 }, { clock: { wall: () => 0 }, random: () => 0.5 });
    const handle = pool.open("x", policyOf("FREE"), 0);
    let now = 0;
    for (; pool.stateOf(handle, now) !== "open" && now < 1_000; now += 10) {
      const token = pool.tryAcquire(handle, now);
      if (token > 0) pool.onResult(handle, token, FAILURE, 1, now + 1);
    }
    console.log(pool.stateOf(handle, now), pool.tryAcquire(handle, now) < 0);
  `;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", program], {
    cwd: ROOT,
    encoding: "utf8",
  });
  assert.equal(output.trim(), "open true");
});
