/** Modules that bring chains: each kind that is refused, with its code, and what stays when one is. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { createPlugins, loadPlugin } from "../../../src/daemon/plugins/load.ts";

const directory = mkdtempSync(join(tmpdir(), "sprint-plugins-"));
after(() => rmSync(directory, { recursive: true }));
let files = 0;

function written(source: string, path = join(directory, `plug-in-${++files}.ts`)): string {
  writeFileSync(path, source);
  return path;
}

/** A module that brings an EVM chain; `definition` and `codec` are spread over what it gives. */
function module(definition = "", codec = "", chain = `chain-${files + 1}`): string {
  return `export default (kit) => {
  const like = kit.evm.params("ethereum", "devnet");
  const codec = (network) => ({ ...kit.evm.codec({ ...like, chain: "${chain}", network, chainId: 4242n }), ${codec} });
  return { api: kit.api, chain: "${chain}", networks: ["main", "test"], codec, ${definition} };
};
`;
}

test("a module becomes a row like any other, with a codec for each of its networks", async () => {
  const path = written(module('shortName: "own"', "", "own-chain"));
  const row = await loadPlugin(path, 1);
  assert.deepEqual(
    [row.chain, row.family, row.shortName, row.networks, row.plugin?.url.endsWith(".ts?v=1")],
    ["own-chain", "evm", "own", ["main", "test"], true],
  );
  const { codec, rpcPort, root } = row.open("test");
  assert.deepEqual([codec.chain, codec.network, codec.forkChoice, rpcPort], ["own-chain", "test", "heads", 8545]);
  assert.equal(root({ checkpoint: null }), null);
  assert.throws(() => row.open("moon"), { code: "SPRINT_CHAIN_UNKNOWN_NETWORK" });
  const utxo = await loadPlugin(
    written(`export default (kit) => ({
      api: 1, chain: "coin", networks: ["regtest"],
      codec: () => ({ ...kit.utxo.codec(kit.utxo.params("litecoin", "regtest")), chain: "coin" }),
    });`),
    1,
  );
  assert.deepEqual([utxo.family, utxo.open("regtest").root({ checkpoint: null })?.block.height], ["utxo", 0]);
});

describe("refused", () => {
  const cases: readonly (readonly [what: string, source: string, code: string, words: RegExp])[] = [
    ["no JavaScript", "export default (", "LOAD", /plug-in-\d+\.ts/],
    ["throws when it is loaded", 'throw new Error("at load");', "LOAD", /at load/],
    ["imports what is not there", 'import "../nothing.ts";', "LOAD", /nothing\.ts/],
    ["no default export", "export const chain = {};", "SHAPE", /default export/],
    ["a default export that is no function", "export default {};", "SHAPE", /default export/],
    ["its function throws", 'export default () => { throw new Error("inside"); };', "THREW", /inside/],
    ["its function gives nothing", "export default () => {};", "SHAPE", /expected a chain/],
    ["its function gives a promise", "export default async () => ({});", "API", /expected api 1, got undefined/],
    ["another version", module("api: 2"), "API", /expected api 1, got 2/],
    [
      "parameters of no chain",
      module("", 'family: "utxo", params: {}'),
      "SHAPE",
      /params: expected those of a utxo chain/,
    ],
    ["a chain that is built in", module('chain: "bitcoin"'), "BUILT_IN", /bitcoin is built in/],
    ["a chain's name that is none", module('chain: "Not A Name"'), "SHAPE", /chain: expected/],
    ["no networks", module("networks: []"), "SHAPE", /networks/],
    ["a network's name that is none", module('networks: ["../x"]'), "SHAPE", /networks/],
    ["no codec", module("codec: {}"), "SHAPE", /codec: expected a function/],
    ["a short name that is none", module('shortName: "much too long a name"'), "SHAPE", /shortName/],
    ["its codec throws", module('codec: () => { throw new Error("no codec"); }'), "THREW", /codec\("main"\).*no codec/],
    ["its codec is nothing", module("codec: () => null"), "SHAPE", /codec\("main"\).*an object/],
    ["lies about its chain", module("", 'chain: "other"'), "SHAPE", /chain: expected chain-\d+, got other/],
    [
      "lies about its network",
      module("", 'network: "main"'),
      "SHAPE",
      /codec\("test"\)\.network: expected test, got main/,
    ],
    ["a family that is none", module("", 'family: "cosmos"'), "SHAPE", /family: expected utxo, evm, svm, got cosmos/],
    ["a fork choice that is none", module("", 'forkChoice: "mine"'), "SHAPE", /forkChoice/],
    ["no block time", module("", "blockTimeSeconds: 0"), "SHAPE", /blockTimeSeconds/],
    ["a finality depth that is none", module("", "finalityDepth: 1.5"), "SHAPE", /finalityDepth/],
    ["no checkBody", module("", "checkBody: undefined"), "SHAPE", /checkBody: expected a function/],
    ["no checkHeader", module("", 'checkHeader: "yes"'), "SHAPE", /checkHeader: expected a function, got yes/],
    ["no parameters", module("", "params: undefined"), "SHAPE", /params/],
  ];
  for (const [what, source, code, words] of cases) {
    test(what, async () => {
      const path = written(source);
      const plugins = createPlugins();
      const [status] = await plugins.load([path]);
      assert.deepEqual([status?.state, status?.serves, status?.chain, status?.loads], ["refused", false, null, 1]);
      assert.equal(status?.error?.code, `SPRINT_PLUGIN_${code}`, status?.error?.message ?? what);
      const message = status?.error?.message ?? "";
      assert.match(message, words);
      assert.ok(message.includes(path), "the message says which");
    });
  }

  test("a path where nothing is", async () => {
    const [status] = await createPlugins().load([join(directory, "none.ts")]);
    assert.equal(status?.error?.code, "SPRINT_PLUGIN_LOAD");
  });

  test("never ends its loading: it is given up, and those after it are loaded", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const stuck = written("await new Promise(() => {});\nexport default () => {};");
    const fine = written(module("", "", "after-it"));
    const plugins = createPlugins();
    const loading = plugins.load([stuck, fine]);
    await new Promise<void>((resolve) => setImmediate(resolve));
    t.mock.timers.tick(10_000);
    const [first, second] = await loading;
    assert.deepEqual([first?.error?.code, second?.state], ["SPRINT_PLUGIN_TIMEOUT", "loaded"]);
    assert.equal(plugins.row("after-it")?.chain, "after-it");
  });

  test("the second of two that bring the same chain", async () => {
    const [one, two] = [written(module("", "", "twice")), written(module("", "", "twice"))];
    const plugins = createPlugins();
    const [first, second] = await plugins.load([one, two]);
    assert.deepEqual([first?.state, second?.error?.code], ["loaded", "SPRINT_PLUGIN_TWICE"]);
    assert.match(second?.error?.message ?? "", new RegExp(one));
    const [alone] = await plugins.load([two]);
    assert.equal(alone?.state, "loaded", "the other is not named any more");
  });
});

describe("loaded again", () => {
  test("it is the module as it stands now; one that is refused leaves what was there", async () => {
    const path = written(module('shortName: "one"', "", "changing"));
    const plugins = createPlugins();
    await plugins.load([path]);
    const before = plugins.row("changing");
    written("export default 5;", path);
    const [refused] = await plugins.load([path]);
    assert.deepEqual(
      [refused?.state, refused?.serves, refused?.chain, refused?.loads, refused?.error?.code],
      ["refused", true, "changing", 2, "SPRINT_PLUGIN_SHAPE"],
    );
    assert.equal(plugins.row("changing"), before);
    written(module('shortName: "two"', "", "changing"), path);
    const [mended] = await plugins.load([path]);
    assert.deepEqual([mended?.state, mended?.error, mended?.loads], ["loaded", null, 3]);
    assert.deepEqual([before?.shortName, plugins.row("changing")?.shortName], ["one", "two"]);
    assert.deepEqual(plugins.statuses(), [mended]);
  });

  test("one that was taken out and comes back is not the one of before", async () => {
    const path = written(module('shortName: "one"', "", "leaving"));
    const plugins = createPlugins();
    await plugins.load([path]);
    await plugins.load([]);
    assert.deepEqual([plugins.row("leaving"), plugins.statuses()], [undefined, []]);
    written(module('shortName: "two"', "", "leaving"), path);
    await plugins.load([path]);
    assert.equal(plugins.row("leaving")?.shortName, "two");
  });
});
