/** The example plug-in on a real anvil while another chain's blocks flow: added, broken, lying, mended, swapped, removed. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { PluginsBody, UpstreamsBody } from "../../src/shared/api.ts";
import { type Anvil, hasAnvil, startAnvil } from "../fakes/anvil.ts";
import { type DevnetNode, startBitcoinNode } from "../fakes/devnet.ts";
import { type SprintProcess, startSprint } from "../fakes/sprint.ts";
import { ChainChecker, subscribe, type TestSubscriber } from "../fakes/subscriber.ts";
import { ask, type CommandResult, runSprint, until, upstreamOnce } from "./watch.ts";

const EXAMPLE = fileURLToPath(new URL("../../examples/tiny-evm/chain.ts", import.meta.url));
const CHAIN_ID = 4242;
/** So many blocks at once keep every proof thread busy. */
const BURST = 12;
const PAUSE_MS = 150;

describe("the example plug-in while blocks flow", { skip: !hasAnvil && "no anvil" }, () => {
  let anvil: Anvil;
  let bitcoin: DevnetNode;
  let directory: string;
  let sprint: SprintProcess;
  /** Of the chain that has nothing to do with it. */
  let other: TestSubscriber;
  let tiny: TestSubscriber;
  let source: string;
  let flow: NodeJS.Timeout;
  let mined = 0;
  const stops: (() => Promise<unknown> | void)[] = [];

  before(async () => {
    anvil = await startAnvil({ chainId: CHAIN_ID });
    stops.push(() => anvil.close());
    await anvil.mine(20);
    bitcoin = await startBitcoinNode();
    stops.push(() => bitcoin.close());
    directory = await mkdtemp(join(tmpdir(), "sprint-plugins-"));
    stops.push(() => rm(directory, { recursive: true, force: true }));
    source = await readFile(EXAMPLE, "utf8");
    await writeFile(join(directory, "chain.ts"), source);
    await configure(false);
    sprint = await startSprint({ args: ["--tier", "ENTERPRISE", "--config", join(directory, "sprint.toml")] });
    stops.push(() => sprint.stop());
    other = await subscribe(`${sprint.tiers.ENTERPRISE}/ws/v1/events?chains=bitcoin`);
    stops.push(() => other.close());
    flow = setInterval(() => {
      mined++;
      void bitcoin.mine(1);
    }, PAUSE_MS);
    stops.push(() => clearInterval(flow));
  });
  after(async () => {
    for (const stop of stops.reverse()) await stop();
  });

  function configure(isIn: boolean): Promise<void> {
    const tinyChain = `[chains.tiny]\nnetwork = "main"\nupstreams = ["${anvil.url}"]\n`;
    const bitcoinChain = `[chains.bitcoin]\nupstreams = ["p2p://127.0.0.1:${bitcoin.address.port}?network=regtest"]\n`;
    const named = isIn ? `plugins = ["./chain.ts"]\n` : "";
    return writeFile(join(directory, "sprint.toml"), `${named}${bitcoinChain}${isIn ? tinyChain : ""}`);
  }

  function reload(): Promise<CommandResult> {
    return runSprint(["plugins", "reload", "--data-dir", sprint.dataDir]);
  }

  async function plugin(): Promise<PluginsBody["plugins"][number] | undefined> {
    return (await ask<PluginsBody>(sprint, "/control/v1/plugins")).plugins[0];
  }

  /** Many blocks at once, and one after the other; all of them are proved. */
  async function tinyFlows(): Promise<void> {
    await anvil.mine(BURST);
    for (let block = 0; block < 3; block++) await anvil.mine(1);
    const best = (await anvil.hashes()).at(-1) ?? "";
    while (tiny.checker.tip("tiny") !== best || !tiny.checker.isValidated("tiny", best)) await tiny.next();
    const path = tiny.checker.path("tiny");
    assert.deepEqual(path, (await anvil.hashes()).slice(-path.length));
    assert.deepEqual(
      path.filter((hash) => !tiny.checker.isValidated("tiny", hash)),
      [],
    );
    undisturbed(tiny);
  }

  /** No gap, no other block, no hang-up. */
  function undisturbed(client: TestSubscriber): void {
    client.checker.assertClean();
    assert.deepEqual(
      client.events.filter(({ type }) => type === "gap" || type === "goodbye"),
      [],
    );
    assert.equal(client.socket.readyState, client.socket.OPEN);
  }

  async function otherFlows(): Promise<void> {
    const before = other.events.length;
    await until(
      () => other.events.slice(before).filter(({ type }) => type === "block").length > 4,
      () => `no blocks of bitcoin any more:\n${sprint.output().slice(-2_000)}`,
    );
    undisturbed(other);
  }

  test("added: its blocks flow", async () => {
    assert.equal(await plugin(), undefined);
    await configure(true);
    const { code, stdout, stderr } = await reload();
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /tiny +loaded/);
    await upstreamOnce(sprint, "tiny-1", ({ state }) => state === "up");
    tiny = await subscribe(`${sprint.tiers.ENTERPRISE}/ws/v1/events?chains=tiny`, { checker: new ChainChecker() });
    stops.push(() => tiny.close());
    await tinyFlows();
    await otherFlows();
  });

  const BROKEN = {
    "throws when it is asked": ["throw new Error('not today');", "SPRINT_PLUGIN_THREW", /not today/],
    "does not load": ["await import('./is-not-there.ts');", "SPRINT_PLUGIN_LOAD", /is-not-there/],
    "says that it is made for another version": ["return { api: 2 };", "SPRINT_PLUGIN_API", /expected api 1, got 2/],
    "brings a chain that is built in": [
      "return { api: 1, chain: 'bitcoin', networks: ['main'], codec() {} };",
      "SPRINT_PLUGIN_BUILT_IN",
      /built in/,
    ],
    "throws at every body": [
      "const { codec } = evm; evm = { ...evm, codec: (params) => ({ ...codec(params), checkBody() { throw new Error('no bodies'); } }) };",
      "SPRINT_PLUGIN_SHAPE",
      /no bodies/,
    ],
    "lies about its codec": [
      "return { api: 1, chain: 'tiny', networks: ['main'], codec: (network) => ({ chain: 'tiny', network }) };",
      "SPRINT_PLUGIN_SHAPE",
      /family/,
    ],
  } as const;

  for (const [what, [line, code, words]] of Object.entries(BROKEN)) {
    test(`one that ${what} is refused, and the one before serves on`, async () => {
      const text = line.startsWith("await")
        ? `${line}\n${source}`
        : source.replace("  const like", `  ${line}\n  const like`);
      assert.notEqual(text, source);
      await writeFile(join(directory, "chain.ts"), text);
      const answer = await reload();
      assert.equal(answer.code, 1, answer.stdout + answer.stderr);
      assert.match(answer.stdout, words);
      const status = await plugin();
      assert.deepEqual([status?.state, status?.serves, status?.error?.code], ["refused", true, code]);
      await tinyFlows();
    });
  }

  test("a codec that throws at bodies is refused by nobody, and stops nothing else", async () => {
    const lying = source.replace(
      'evm.codec({ ...like, chain: "tiny", network, chainId: 4242n, blockTimeSeconds: 1 })',
      "({ ...evm.codec({ ...like, chain: \"tiny\", network, chainId: 4242n, blockTimeSeconds: 1 }), checkBody(raw) { if (raw.length > 1) throw new Error('no bodies'); return { ok: false, refusal: { code: 'SPRINT_TINY', message: '', data: {} } }; } })",
    );
    assert.notEqual(lying, source);
    await writeFile(join(directory, "chain.ts"), lying);
    assert.equal((await reload()).code, 0);
    const [hash] = await anvil.mine(1);
    while (tiny.checker.tip("tiny") !== hash) await tiny.next();
    await otherFlows();
    assert.equal(tiny.checker.isValidated("tiny", hash ?? ""), false);
  });

  test("mended and changed: swapped, and its stream has no hole and no duplicate", async () => {
    await writeFile(join(directory, "chain.ts"), source.replace('shortName: "tiny"', 'shortName: "small"'));
    const { code, stdout, stderr } = await reload();
    assert.equal(code, 0, stdout + stderr);
    const { upstreams } = await ask<UpstreamsBody>(sprint, "/control/v1/upstreams");
    const name = upstreams.find(({ chain }) => chain === "tiny")?.name ?? "";
    assert.match(name, /^small-\d+$/);
    await upstreamOnce(sprint, name, ({ state }) => state === "up");
    await tinyFlows();
    await otherFlows();
  });

  test("swapped again and again while it mines", async (t) => {
    const mining = setInterval(() => void anvil.rpc("anvil_mine", ["0x2"]).catch(() => {}), 20);
    t.after(() => clearInterval(mining));
    for (let turn = 0; turn < 3; turn++) {
      await writeFile(join(directory, "chain.ts"), `${source}\n// ${turn}\n`);
      const { code, stdout, stderr } = await reload();
      assert.equal(code, 0, stdout + stderr);
    }
    clearInterval(mining);
    await upstreamsUp();
    await tinyFlows();
  });

  async function upstreamsUp(): Promise<void> {
    await until(
      async () =>
        (await ask<UpstreamsBody>(sprint, "/control/v1/upstreams")).upstreams.every(({ state }) => state === "up"),
      () => `an upstream stayed down:\n${sprint.output().slice(-2_000)}`,
    );
  }

  test("taken out again: its chain is gone, the other one never heard of any of it", async (t) => {
    await configure(false);
    assert.equal((await reload()).code, 0);
    assert.equal(await plugin(), undefined);
    const answer = await fetch(`${sprint.tiers.ENTERPRISE}/api/v1/chains`);
    const { chains } = (await answer.json()) as { chains: { chain: string }[] };
    assert.deepEqual(
      chains.map(({ chain }) => chain),
      ["bitcoin"],
    );
    await otherFlows();
    clearInterval(flow);
    await until(
      () => other.checker.tip("bitcoin") === bitcoin.store.tip.hash,
      () => "the last block of bitcoin did not come",
    );
    assert.ok(other.checker.path("bitcoin").length > mined - 2);
    undisturbed(other);
    t.diagnostic(`${mined} blocks of bitcoin, ${JSON.stringify(tiny.checker.seen)} of tiny`);
  });
});
