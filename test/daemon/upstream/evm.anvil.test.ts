/** The EVM feed against a real anvil. */
import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import { type Anvil, hasAnvil, startAnvil } from "../../fakes/anvil.ts";
import { listenEvm } from "./evm-listener.ts";

const skip = !hasAnvil && "no anvil";
let anvil: Anvil;
before(async () => {
  if (hasAnvil) anvil = await startAnvil();
});
after(() => anvil?.close());

for (const kind of ["ws", "rpc", "ws with rpc"] as const) {
  const url = (): string =>
    kind === "rpc" ? anvil.httpUrl : kind === "ws" ? anvil.url : `${anvil.url}?rpc=${anvil.httpUrl}`;

  test(`${kind}: bursts, reorgs of depth 1 to 8, and a silent rewind, without a hole`, { skip }, async (t) => {
    const listener = listenEvm(t, { url: url() });
    await listener.until(listener.filled);
    for (let burst = 1; burst <= 8; burst++) {
      const mined = await anvil.mine(burst * 5);
      await listener.until(() => listener.head() === mined.at(-1));
      assert.deepEqual(listener.chain(mined.length), mined);
    }
    for (let depth = 1; depth <= 8; depth++) {
      const branch = await anvil.reorg(depth, depth % 3);
      await listener.until(() => listener.head() === branch.at(-1));
      assert.deepEqual(listener.chain(branch.length), branch);
    }
    const lower = await anvil.rollback(3);
    await listener.until(() => listener.head() === lower);
    const [next] = await anvil.mine(1);
    await listener.until(() => listener.head() === next);
    assert.equal(listener.chain(2)[0], lower);
    assert.equal(listener.downs.length, 0);
  });
}
