/** The composition root, in this process: what its parts cannot show alone. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Config, loadConfig } from "../../src/daemon/config/index.ts";
import { startDaemon } from "../../src/daemon/daemon.ts";
import { createLogger } from "../../src/daemon/observe/index.ts";
import { startNode } from "../fakes/devnet.ts";

test("a reload that comes with the end opens nothing", async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), "sprint-daemon-"));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  const nodes = [await startNode("litecoin"), await startNode("litecoin")] as const;
  for (const node of nodes) t.after(() => node.close());
  const configOf = (url: string): Config =>
    loadConfig({ flags: { chain: [`litecoin=${url}`], dataDir, port: "0", controlPort: "0" }, env: {}, cwd: dataDir });
  const daemon = await startDaemon(configOf(nodes[0].url), {
    log: createLogger({ level: "error", format: "json", color: false }, { write() {} }),
    token: "a token of the test",
    onStop() {},
    readConfig: () => configOf(nodes[1].url),
  });
  const closed = daemon.close();
  assert.throws(() => daemon.reload(), { code: "SPRINT_API_DRAINING" });
  await closed;
  assert.throws(() => daemon.reload(), { code: "SPRINT_API_DRAINING" });
  assert.deepEqual(
    daemon.view().upstreams.map(({ name, state }) => [name, state]),
    [["ltc-1", "closed"]],
  );
});
