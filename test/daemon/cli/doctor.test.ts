import test, { after } from "node:test";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./run.ts";

const directory = mkdtempSync(join(tmpdir(), "sprint-doctor-"));
after(() => rmSync(directory, { recursive: true }));
const ANY_PORT = ["--port", "0", "--control-port", "0", "--data-dir", directory];

async function doctor(
  toml: string,
): Promise<{ code: number; found: (check: string) => { ok: boolean; found: string }[] }> {
  const config = join(directory, "sprint.toml");
  writeFileSync(config, toml);
  const { code, out, err } = await run(["doctor", "--config", config, "--json", ...ANY_PORT]);
  assert.equal(err, "");
  const { checks } = JSON.parse(out) as { checks: { check: string; ok: boolean; found: string }[] };
  return { code, found: (check) => checks.filter((each) => each.check === check) };
}

test("doctor loads each plug-in, and says which Ethereum node devnet has", async () => {
  writeFileSync(join(directory, "bad.ts"), 'throw new Error("boom");\n');
  const example = join(import.meta.dirname, "../../../examples/tiny-evm/chain.ts");
  const { code, found } = await doctor(`plugins = [${JSON.stringify(example)}, "./bad.ts", "./gone.ts"]`);
  assert.equal(code, 1);
  const [good, bad, gone] = found("plug-in");
  assert.deepEqual([good?.ok, bad?.ok, gone?.ok], [true, false, false]);
  assert.match(good?.found ?? "", /chain\.ts: tiny, main$/);
  assert.match(bad?.found ?? "", /bad\.ts: boom$/);
  assert.match(gone?.found ?? "", /gone\.ts: there is no such file$/);
  assert.match(
    found("upstreams of ethereum")[0]?.found ?? "",
    /^anvil, started by sprint$|^an embedded producer, as anvil/,
  );
});

test("doctor knocks at every place of an upstream of Ethereum and Solana", async () => {
  const toml = `
[chains.ethereum]
upstreams = ["ws://127.0.0.1:1?rpc=http://127.0.0.1:2", "beacon+http://127.0.0.1:3"]
[chains.solana]
upstreams = ["http://127.0.0.1:4"]`;
  const { code, found } = await doctor(toml);
  assert.equal(code, 1);
  const places = found("upstream of ethereum").map(({ found: text }) => / at (\S+): /.exec(text)?.[1]);
  assert.deepEqual(places, ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]);
  assert.match(found("upstream of solana")[0]?.found ?? "", /at 127\.0\.0\.1:4: connect ECONNREFUSED/);
});
