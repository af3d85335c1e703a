/** Each wrong way of saying which chains run, from whom: its code, where it stands, and what to write instead. */
import test, { after } from "node:test";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { explainConfig, loadConfig } from "../../../src/daemon/config/index.ts";
import { isSprintError } from "../../../src/shared/errors.ts";

const directory = mkdtempSync(join(tmpdir(), "sprint-chains-"));
after(() => rmSync(directory, { recursive: true }));

function sourcesOf(toml: string, flags: Record<string, unknown> = {}) {
  const config = join(directory, "sprint.toml");
  writeFileSync(config, toml);
  return { flags: { config, ...flags }, env: {}, cwd: directory };
}

function mistake(toml: string, flags: Record<string, unknown> = {}): { readonly code: string; readonly text: string } {
  try {
    loadConfig(sourcesOf(toml, flags));
  } catch (error) {
    if (isSprintError(error)) return { code: error.code, text: error.message };
    throw error;
  }
  assert.fail(`${toml} ${JSON.stringify(flags)} was taken`);
}

const WS = 'upstreams = ["ws://127.0.0.1:8546"]';

const IN_FILE: readonly (readonly [toml: string, code: string, text: RegExp])[] = [
  ["[chains.etherium]", "UNKNOWN_KEY", /chains\.etherium: .* did you mean ethereum\?$/],
  [`[chains.my-own]\n${WS}`, "UNKNOWN_KEY", /no chain my-own; known here: bitcoin.*plugins = \["\.\/my-own\.ts"\]$/],
  [
    "[chains.ethereum]",
    "CONFLICT",
    /expected an upstream, for instance upstreams = \["ws:\/\/.*ethereum mainnet has no public/,
  ],
  ["[chains.base]", "CONFLICT", /expected an upstream.*base mainnet has no public peers/],
  [
    '[chains.ethereum]\nupstreams = ["p2p://127.0.0.1:1"]',
    "UPSTREAM_URL",
    /p2p:\S+ expected one of ethereum: ws\(s\):\/\//,
  ],
  ['[chains.solana]\nupstreams = ["beacon+http://127.0.0.1:1"]', "UPSTREAM_URL", /one of solana: ws\(s\):\/\/, http/],
  ['[chains.bitcoin]\nupstreams = ["ws://127.0.0.1:1"]', "UPSTREAM_URL", /one of bitcoin: p2p:\/\/, http/],
  [`[chains.ethereum]\nnetwork = "sepola"\n${WS}`, "VALUE", /chains\.ethereum\.network .* did you mean sepolia\?$/],
  ['network = "sepola"', "VALUE", /sprint\.toml: network takes .* did you mean sepolia\?$/],
  ['network = "sepolia"', "CONFLICT", /network: .*ethereum has it, and then must be named: --chain ethereum=ws:/],
  [`[chains.ethereum]\nmempool = "yes"\n${WS}`, "VALUE", /chains\.ethereum\.mempool takes true or false, got "yes"/],
  [
    `[chains.ethereum]\nfinality_depth = 0\n${WS}`,
    "VALUE",
    /finality_depth takes a whole number from 1 to 100000, got 0/,
  ],
  [`[chains.ethereum]\nfinality_depth = 100001\n${WS}`, "VALUE", /from 1 to 100000, got 100001/],
  [`[chains.ethereum]\nupstream = ["ws://x"]`, "UNKNOWN_KEY", /chains\.ethereum\.upstream; did you mean upstreams\?/],
  ['plugins = "./mine.ts"', "VALUE", /plugins takes a list of at most \d+, got/],
];

for (const [toml, code, text] of IN_FILE) {
  test(`in a file: ${toml.replaceAll("\n", "; ")}`, () => {
    const told = mistake(toml);
    assert.equal(told.code, `SPRINT_CONFIG_${code}`, told.text);
    assert.match(told.text, text);
  });
}

const ON_COMMAND_LINE: readonly (readonly [flags: Record<string, unknown>, code: string, text: RegExp])[] = [
  [{ chain: ["etherium=ws://x"] }, "VALUE", /--chain: there is no chain etherium; did you mean ethereum\?/],
  [{ chain: ["ethereum"] }, "VALUE", /NAME=URL, for instance ethereum=ws:\/\//],
  [{ chain: ["solana"] }, "VALUE", /NAME=URL, for instance solana=ws:\/\/127\.0\.0\.1:8900/],
  [{ chain: ["bitcoin"] }, "VALUE", /NAME=URL, for instance bitcoin=p2p:/],
  [{ chain: ["my-own=ws://x"] }, "VALUE", /no chain my-own; .*plugins = /],
  [{ chain: ["ethereum=p2p://x:1"] }, "UPSTREAM_URL", /expected one of ethereum/],
  [{ network: "sepola" }, "VALUE", /the command line: --network takes .* did you mean sepolia\?/],
  [{ network: "localnet" }, "CONFLICT", /--network: .*solana has it/],
];

for (const [flags, code, text] of ON_COMMAND_LINE) {
  test(`on the command line: ${JSON.stringify(flags)}`, () => {
    const told = mistake("", flags);
    assert.equal(told.code, `SPRINT_CONFIG_${code}`, told.text);
    assert.match(told.text, text);
  });
}

test("a plug-in whose file is not there is told, and takes nothing else with it", () => {
  const config = loadConfig(sourcesOf('plugins = ["./gone.ts"]'));
  assert.match(config.warnings.join("\n"), /plugins: there is no file \S+gone\.ts; its chain is not relayed/);
  assert.equal(config.chains.length, 5);
  writeFileSync(join(directory, "gone.ts"), "");
  assert.deepEqual(loadConfig(sourcesOf('plugins = ["./gone.ts"]')).warnings, []);
});

test("explain knows plug-ins, also where there are none, and finds a chain's key by its own name", () => {
  assert.deepEqual(explainConfig(sourcesOf(""), "plugins")[0]?.value, []);
  const [told] = explainConfig(sourcesOf('plugins = ["./mine.ts"]'), "plugins");
  assert.match(told?.from ?? "", /sprint\.toml: plugins$/);
  const chain = `[chains.ethereum]\nmempool = false\n${WS}`;
  assert.equal(explainConfig(sourcesOf(chain), "chains.ethereum.mempool")[0]?.value, false);
  assert.throws(() => explainConfig(sourcesOf(chain), "mempool"), /did you mean chains\.ethereum\.mempool\?/);
});
