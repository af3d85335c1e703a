import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { EvmEmbeddedNode } from "../../../src/daemon/devnet/index.ts";
import { checkPlugin } from "../../../src/daemon/plugins/index.ts";
import { seededRandom, systemClock } from "../../../src/shared/clock.ts";

const directory = mkdtempSync(join(tmpdir(), "sprint-conformance-"));
after(() => rmSync(directory, { recursive: true }));

function written(name: string, codec: string): string {
  const path = join(directory, name);
  const source = `export default ({ evm }) => {
  const params = { ...evm.params("ethereum", "devnet"), chain: "own" };
  const codec = (network) => ({ ...evm.codec({ ...params, network }), ${codec} });
  return { api: 1, chain: "own", networks: ["main"], codec };
};
`;
  writeFileSync(path, source);
  return path;
}

const verdicts = async (path: string, blocks: string | null): Promise<readonly boolean[]> =>
  (await checkPlugin(path, blocks)).map(({ ok }) => ok);

test("a plug-in is held against its interface, garbage and recorded blocks, and fails where it should", async () => {
  const node = new EvmEmbeddedNode({ blockIntervalMs: null }, { clock: systemClock, random: seededRandom(1) });
  await node.start();
  const ask = async (method: string, ...params: unknown[]): Promise<unknown> => {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
    const headers = { "content-type": "application/json", connection: "close" };
    const response = await fetch(node.url.replace("ws:", "http:"), { method: "POST", headers, body });
    return ((await response.json()) as { result: unknown }).result;
  };
  const bodies: { block: unknown; receipts: unknown }[] = [];
  try {
    for (const hash of await node.mine(2))
      bodies.push({
        block: await ask("eth_getBlockByHash", hash, true),
        receipts: await ask("eth_getBlockReceipts", hash),
      });
  } finally {
    await node.close();
  }
  const blocks = join(directory, "blocks.json");
  writeFileSync(blocks, JSON.stringify(bodies));
  const tampered = join(directory, "tampered.json");
  writeFileSync(tampered, JSON.stringify([{ ...bodies[0], receipts: [] }]));

  const honest = written("honest.ts", "");
  assert.deepEqual(await verdicts(honest, blocks), [true, true, true]);
  assert.deepEqual(await verdicts(honest, tampered), [true, true, false], "a body that does not hold");
  const facts = '{ ok: true, facts: { txCount: 0, sizeBytes: 0, level: "full" } }';
  const credulous = written(
    "credulous.ts",
    `checkBody: (raw) => raw.length > 1 ? ${facts} : evm.codec(params).checkBody(raw, { height: null, hash: null }, null)`,
  );
  assert.deepEqual(await verdicts(credulous, null), [true, false], "random bytes taken for a block");
  assert.deepEqual(await verdicts(join(directory, "none.ts"), null), [false]);
});
