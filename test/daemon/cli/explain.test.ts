import test from "node:test";
import assert from "node:assert/strict";
import { run } from "./run.ts";

const URL = `ws://127.0.0.1:8546?rpc=http://127.0.0.1:${"8545/a".repeat(30)}`;

test("explain stays within a terminal, and is whole in a pipe", async () => {
  const args = ["config", "explain", "chains.ethereum", "--chain", `ethereum=${URL}`];
  const pipe = await run(args, { env: { HOME: "/" } });
  assert.equal(pipe.code, 0, pipe.err);
  assert.match(pipe.out, /^chains\.ethereum\.upstreams +\["ws:.{150,} +running +--chain$/m);
  const narrow = await run([...args, "--no-color"], { env: { HOME: "/" }, isTTY: true, columns: 100 });
  assert.ok(
    narrow.out.split("\n").every((line) => line.length <= 100),
    narrow.out,
  );
  assert.match(narrow.out, /^chains\.ethereum\.upstreams +\["ws:.*… +running +--chain$/m);
});
