import test from "node:test";
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse as parseToml, stringify as toToml } from "smol-toml";
import { type Config, type ConfigFlags, dumpConfig, loadConfig } from "../../../src/daemon/config/load.ts";
import { SprintError } from "../../../src/shared/errors.ts";
import { TIER } from "../../../src/shared/tier.ts";

const directory = mkdtempSync(join(tmpdir(), "sprint-config-"));
test.after(() => rmSync(directory, { recursive: true }));

let files = 0;

function written(text: string, extension: string): string {
  const file = join(directory, `${++files}.${extension}`);
  writeFileSync(file, text);
  return file;
}

interface Given {
  readonly yaml?: string;
  readonly toml?: string;
  readonly flags?: ConfigFlags;
  readonly env?: Record<string, string>;
}

function load({ yaml, toml, flags = {}, env = {} }: Given = {}): Config {
  const file = yaml !== undefined ? written(yaml, "yaml") : toml !== undefined ? written(toml, "toml") : undefined;
  return loadConfig({
    flags: { ...flags, ...(file === undefined ? {} : { config: file }) },
    env: { XDG_STATE_HOME: join(directory, "state"), XDG_CONFIG_HOME: join(directory, "none"), ...env },
    cwd: directory,
  });
}

/** The error that `given` ends in. */
function refusal(given: Given): SprintError {
  try {
    load(given);
  } catch (error) {
    assert.ok(error instanceof SprintError, String(error));
    return error;
  }
  assert.fail("expected a refusal");
}

test("nothing configured is devnet: five chains, three tiers, loopback", () => {
  const config = load();
  assert.equal(config.network, "devnet");
  assert.deepEqual(
    config.chains.map(({ chain, network, upstreams, validation }) => ({ chain, network, upstreams, validation })),
    [
      ["bitcoin", "regtest"],
      ["litecoin", "regtest"],
      ["dogecoin", "regtest"],
      ["ethereum", "devnet"],
      ["solana", "localnet"],
    ].map(([chain, network]) => ({ chain, network, upstreams: [], validation: "full" })),
  );
  assert.deepEqual(config.tiers, ["FREE", "BUSINESS", "ENTERPRISE"]);
  assert.deepEqual(config.tier, TIER);
  assert.equal(config.host, "127.0.0.1");
  assert.deepEqual(config.control, { host: "127.0.0.1", port: 8081, tokens: [] });
  assert.equal(config.dataDir, join(directory, "state/bitcoin-sprint"));
});

test("the specification's multi-chain YAML loads as it stands", () => {
  const config = load({
    yaml: `
chains:
  bitcoin:
    enabled: true
    rpc_url: "http://bitcoin-node:8332"
    zmq_endpoint: "tcp://bitcoin-node:28332"
    validation_level: "full"
  ethereum:
    enabled: true
    rpc_url: "http://ethereum-node:8545"
    ws_endpoint: "ws://ethereum-node:8546"
    validation_level: "header"
`,
  });
  assert.equal(config.network, "mainnet");
  assert.deepEqual(
    config.chains.map((chain) => [chain.chain, chain.network, chain.validation, chain.upstreams]),
    [
      [
        "bitcoin",
        "mainnet",
        "full",
        ["zmq+tcp://bitcoin-node:28332?rpc=http%3A%2F%2Fbitcoin-node%3A8332", "http://bitcoin-node:8332"],
      ],
      ["ethereum", "mainnet", "header", ["ws://ethereum-node:8546?rpc=http%3A%2F%2Fethereum-node%3A8545"]],
    ],
  );
  assert.deepEqual(config.warnings, []);
});

test("a chain that is switched off needs nothing", () => {
  assert.deepEqual(
    load({ yaml: "chains: {solana: {enabled: false}}" }).chains.map(({ chain }) => chain),
    ["bitcoin", "litecoin", "dogecoin", "ethereum"],
  );
});

test("off devnet a chain of Ethereum's or Solana's family needs an upstream; its network may be another name's", () => {
  for (const chain of ["ethereum", "polygon", "arbitrum", "optimism", "base", "bsc", "solana"]) {
    const error = refusal({ toml: `network = "mainnet"\nchains.${chain}.enabled = true` });
    assert.equal(error.code, "SPRINT_CONFIG_CONFLICT", chain);
    assert.match(error.message, new RegExp(`chains\\.${chain}.*upstream`));
    const url = "ws://127.0.0.1:8546";
    assert.deepEqual(load({ flags: { chain: [`${chain}=${url}`] } }).chains[0]?.upstreams, [url]);
  }
  const sepolia = load({ flags: { chain: ["ethereum=ws://h?network=sepolia"] } });
  assert.deepEqual([sepolia.network, sepolia.chains[0]?.network], ["sepolia", "sepolia"]);
});

test("transactions that are in no block are listened to where there is an upstream, and where the key says so", () => {
  const mempools = (given: Given): unknown => load(given).chains.map(({ chain, mempool }) => [chain, mempool]);
  assert.deepEqual(
    load().chains.map(({ mempool }) => mempool),
    [true, true, true, true, true],
  );
  assert.deepEqual(mempools({ flags: { network: "mainnet" } }), [
    ["bitcoin", false],
    ["litecoin", false],
    ["dogecoin", false],
  ]);
  const toml = 'chains.bitcoin.upstreams = ["p2p://h"]\nchains.bitcoin.mempool = false\nchains.litecoin.mempool = true';
  assert.deepEqual(mempools({ toml }), [
    ["bitcoin", false],
    ["litecoin", true],
  ]);
});

test("of Solana's signatures all are verified, or the share that the key says", () => {
  const solana = (value: string, more = ""): Given => ({
    toml: `[chains.solana]\nupstreams = ["ws://h"]\nsignatures = ${value}\n${more}`,
    env: { SHARE: "0.25" },
  });
  const shares = ['"all"', "1", "0.1", '"${SHARE}"'].map((value) => load(solana(value)).chains[0]?.signatures);
  assert.deepEqual(shares, [null, null, 0.1, 0.25]);
  assert.equal(load({ flags: { chain: ["solana=ws://h"] } }).chains[0]?.signatures, null, "by default");
  for (const value of ["0", "-0.1", "1.01", "nan", "true", '""', '"most"', '"0.1.2"', "[0.1]"]) {
    const error = refusal(solana(value));
    assert.deepEqual([error.code, error.data["key"]], ["SPRINT_CONFIG_VALUE", "chains.solana.signatures"], value);
    assert.match(error.message, /"all", or a share of them above 0 and up to 1/);
  }
  const dumped = dumpConfig(load(solana("0.1")));
  assert.equal(load({ toml: toToml(dumped) }).chains[0]?.signatures, 0.1, "what is dumped is read again");
  const other = refusal({ toml: '[chains.ethereum]\nupstreams = ["ws://h"]\nsignatures = "all"' });
  assert.deepEqual([other.code, other.data["key"]], ["SPRINT_CONFIG_CONFLICT", "chains.ethereum.signatures"]);
  const unused = load(solana("0.1", 'validation_level = "header"')).warnings.join();
  assert.match(unused, /chains\.solana\.signatures is not used/);
});

test("plug-ins are named by paths from the file's directory; their chains may then be configured", () => {
  const toml =
    'plugins = ["./tiny.ts", "/opt/other.ts"]\n[chains.tiny]\nupstreams = ["http://127.0.0.1:1?network=main"]\n';
  const config = load({ toml });
  assert.deepEqual(config.plugins, [join(directory, "tiny.ts"), "/opt/other.ts"]);
  assert.deepEqual(
    config.chains.map(({ chain, network }) => [chain, network]),
    [["tiny", "main"]],
  );
  assert.deepEqual(load({ toml: toToml(dumpConfig(config)) }).plugins, config.plugins);
  const without = refusal({ toml: toml.split("\n").slice(1).join("\n") });
  assert.deepEqual([without.code, without.data["key"]], ["SPRINT_CONFIG_UNKNOWN_KEY", "chains.tiny"]);
  const missing = refusal({ toml: 'plugins = ["./tiny.ts"]\nchains.tiny.enabled = true' });
  assert.equal(missing.code, "SPRINT_CONFIG_CONFLICT");
});

test("--chain names the chain, may be repeated, and takes its network from the URL", () => {
  const one = "p2p://127.0.0.1:19444?network=regtest";
  const two = "http://u:p@127.0.0.1:19443?network=regtest";
  const config = load({ flags: { chain: [`litecoin=${one}`, `litecoin=${two}`] } });
  assert.equal(config.network, "regtest");
  assert.deepEqual(
    config.chains.map((chain) => [chain.chain, chain.network, chain.upstreams]),
    [["litecoin", "regtest", [one, two]]],
  );
});

test("--chain replaces that chain's upstreams of the file and leaves its other keys", () => {
  const toml = `
[chains.litecoin]
upstreams = ["p2p://10.0.0.1"]
validation_level = "header"
finality_depth = 12
[[chains.dogecoin.upstreams]]
url = "p2p://10.0.0.2"
`;
  const [litecoin, dogecoin] = load({ toml, flags: { chain: ["litecoin=p2p://10.0.0.9"] } }).chains;
  assert.deepEqual(litecoin?.upstreams, ["p2p://10.0.0.9"]);
  assert.equal(litecoin?.validation, "header");
  assert.equal(litecoin?.finalityDepth, 12);
  assert.deepEqual(dogecoin?.upstreams, ["p2p://10.0.0.2"]);
});

test("a network without chains is joined through its public peers, all chains of it", () => {
  const config = load({ flags: { network: "mainnet" } });
  assert.deepEqual(
    config.chains.map((chain) => [chain.network, chain.upstreams.length]),
    [
      ["mainnet", 0],
      ["mainnet", 0],
      ["mainnet", 0],
    ],
  );
});

test("devnet is told of embedded nodes only, not of nodes on a network of that name", () => {
  assert.equal(load({}).network, "devnet");
  assert.equal(load({ flags: { chain: ["solana=ws://h?network=devnet"] } }).network, "solana-devnet");
  const chain = ["solana=ws://h?network=devnet", "ethereum=ws://h?network=devnet"];
  assert.equal(load({ flags: { chain } }).network, "mixed");
});

test("chains on networks of different names are told as mixed", () => {
  const chain = ["bitcoin=p2p://h?network=testnet4", "dogecoin=p2p://h"];
  assert.equal(load({ flags: { chain } }).network, "mixed");
});

test("flag over environment over file over default", () => {
  const toml = 'host = "1.1.1.1"\ncontrol_port = 1\n[log]\nlevel = "debug"\n[ports]\nFREE = 1000\n';
  const config = load({ toml, env: { SPRINT_CONTROL_PORT: "2", SPRINT_HOST: "2.2.2.2" }, flags: { host: "3.3.3.3" } });
  assert.equal(config.host, "3.3.3.3");
  assert.equal(config.control.port, 2);
  assert.equal(config.log.level, "debug");
  assert.equal(config.tier.FREE.port, 1000);
  assert.equal(config.tier.BUSINESS.port, 8082);
});

test("SPRINT_CHAIN holds several pairs", () => {
  const config = load({ env: { SPRINT_CHAIN: "bitcoin=p2p://a  dogecoin=p2p://b" } });
  assert.deepEqual(
    config.chains.map((chain) => chain.chain),
    ["bitcoin", "dogecoin"],
  );
});

test("variables are filled in, escaped ones are not, an unset one is an error that names it", () => {
  const toml = 'host = "${BIND}"\ncontrol_port = "${PORT}"\ndata_dir = "/x/$${BIND}"\n';
  const config = load({ toml, env: { BIND: "10.1.1.1", PORT: "99" } });
  assert.equal(config.host, "10.1.1.1");
  assert.equal(config.control.port, 99);
  assert.equal(config.dataDir, "/x/${BIND}");
  const error = refusal({ toml });
  assert.equal(error.code, "SPRINT_CONFIG_VARIABLE");
  assert.match(error.message, /\$\{BIND\}.*not set/);
});

test("user, password and cookie become part of the RPC URL, whatever characters they hold", () => {
  const toml = '[chains.bitcoin]\nrpc_url = "http://node:8332"\nrpc_user = "a:b"\nrpc_password = "p@ss/w?rd"\n';
  assert.deepEqual(load({ toml }).chains[0]?.upstreams, ["http://a%3Ab:p%40ss%2Fw%3Frd@node:8332"]);
  const cookie = '[chains.bitcoin]\nrpc_url = "http://node:8332"\nrpc_cookie = "/var/lib/bitcoind/.cookie"\n';
  assert.deepEqual(load({ toml: cookie }).chains[0]?.upstreams, [
    "http://node:8332?cookie=%2Fvar%2Flib%2Fbitcoind%2F.cookie",
  ]);
});

test("tiers, ports, limits, pacing and time-outs of the file", () => {
  const config = load({
    toml: `
tiers = ["enterprise"]
shutdown_timeout = "1m30s"
[limits.ENTERPRISE]
connections = 5
api_calls_per_minute = "unlimited"
[pacing.FREE]
min = "1s"
max = "2s"
`,
  });
  assert.deepEqual(config.tiers, ["ENTERPRISE"]);
  assert.equal(config.shutdownTimeoutMs, 90_000);
  assert.equal(config.tier.ENTERPRISE.connections, 5);
  assert.equal(config.tier.ENTERPRISE.apiCallsPerMinute, Number.POSITIVE_INFINITY);
  assert.deepEqual(config.tier.FREE.pacingMs, { min: 1_000, max: 2_000 });
});

test("a checkpoint is bytes and a number", () => {
  const header = "ab".repeat(80);
  const toml = `[chains.litecoin]\nupstreams = ["p2p://h"]\n[chains.litecoin.checkpoint]\nheight = 7\nheader = "${header}"\nwork = "0xff"\n`;
  const checkpoint = load({ toml }).chains[0]?.checkpoint;
  assert.equal(checkpoint?.header.length, 80);
  assert.equal(checkpoint?.work, 255n);
});

test("the result cannot be changed, at any depth", () => {
  const config = load();
  assert.throws(() => Object.assign(config.tier.FREE, { port: 1 }), TypeError);
  assert.throws(() => (config.chains as unknown[]).push(1), TypeError);
});

test("each mistake has its code, its place and a way out", () => {
  const cases: readonly (readonly [Given, string, RegExp])[] = [
    [
      { yaml: "chains: {bitcoin: {rcp_url: x}}" },
      "SPRINT_CONFIG_UNKNOWN_KEY",
      /chains\.bitcoin\.rcp_url.*mean rpc_url/,
    ],
    [{ yaml: "chains: {bitcoinn: {}}" }, "SPRINT_CONFIG_UNKNOWN_KEY", /bitcoinn.*mean bitcoin/],
    [{ toml: "[limits.FREE]\nconections = 1" }, "SPRINT_CONFIG_UNKNOWN_KEY", /limits\.FREE\.conections.*connections/],
    [{ toml: "prot = 1" }, "SPRINT_CONFIG_UNKNOWN_KEY", /prot/],
    [{ toml: "control_port = 99999" }, "SPRINT_CONFIG_VALUE", /control_port.*0 to 65535.*99999/],
    [{ toml: 'control_port = "x"' }, "SPRINT_CONFIG_VALUE", /control_port/],
    [{ toml: "shutdown_timeout = 5" }, "SPRINT_CONFIG_VALUE", /shutdown_timeout.*unit/],
    [{ toml: '[log]\nlevel = "wran"' }, "SPRINT_CONFIG_VALUE", /log\.level.*mean warn/],
    [{ toml: 'host = "unclosed' }, "SPRINT_CONFIG_SYNTAX", /line 1/],
    [{ yaml: "a: [1\nb: 2" }, "SPRINT_CONFIG_SYNTAX", /line/],
    [{ yaml: "host: a\nhost: b" }, "SPRINT_CONFIG_SYNTAX", /unique/],
    [{ yaml: "- 1" }, "SPRINT_CONFIG_VALUE", /section/],
    [{ flags: { config: "/nowhere/sprint.toml" } }, "SPRINT_CONFIG_FILE", /nowhere/],
    [{ flags: { config: "sprint.json" } }, "SPRINT_CONFIG_FILE", /\.toml/],
    [{ flags: { tier: "PLATINUM" } }, "SPRINT_CONFIG_VALUE", /--tier.*FREE/],
    [{ flags: { port: "9000" } }, "SPRINT_CONFIG_CONFLICT", /--tier/],
    [{ flags: { tier: "FREE", port: "8081" } }, "SPRINT_CONFIG_CONFLICT", /8081.*control/],
    [{ flags: { chain: ["litecoin"] } }, "SPRINT_CONFIG_VALUE", /NAME=URL/],
    [{ flags: { chain: ["litecoim=p2p://x"] } }, "SPRINT_CONFIG_VALUE", /mean litecoin/],
    [{ flags: { network: "devnet", chain: ["litecoin=p2p://x"] } }, "SPRINT_CONFIG_CONFLICT", /devnet/],
    [{ flags: { network: "maninet" } }, "SPRINT_CONFIG_VALUE", /mean mainnet/],
    [{ flags: { network: "testnet9" } }, "SPRINT_CONFIG_VALUE", /--network takes/],
    [
      { flags: { chain: ["litecoin=ws://x:1"] } },
      "SPRINT_CONFIG_UPSTREAM_URL",
      /command line: chains\.litecoin.*ws:\/\//,
    ],
    [{ flags: { chain: ["ethereum=p2p://x:1"] } }, "SPRINT_CONFIG_UPSTREAM_URL", /ethereum.*p2p.*ws\(s\):\/\//],
    [{ flags: { chain: ["solana=beacon+http://x:1"] } }, "SPRINT_CONFIG_UPSTREAM_URL", /solana.*beacon.*ws\(s\):\/\//],
    [{ toml: '[chains.ethereum]\nws_endpoint = "http://h"' }, "SPRINT_CONFIG_VALUE", /ws_endpoint.*ws:\/\//],
    [{ toml: '[chains.bitcoin]\nupstreams = ["p2p://:0"]' }, "SPRINT_CONFIG_UPSTREAM_URL", /toml: chains\.bitcoin/],
    [{ flags: { network: "regtest" } }, "SPRINT_CONFIG_CONFLICT", /no public peers/],
    [
      { flags: { network: "mainnet", chain: ["litecoin=p2p://x?network=regtest"] } },
      "SPRINT_CONFIG_CONFLICT",
      /regtest/,
    ],
    [{ env: { SPRINT_PORT: "9999" } }, "SPRINT_CONFIG_CONFLICT", /^the environment: SPRINT_PORT/],
    [{ env: { SPRINT_PORT: "tcp://10.0.0.1:80" } }, "SPRINT_CONFIG_VALUE", /SPRINT_PORT/],
    [{ toml: '[chains.bitcoin]\nzmq_endpoint = "node:1"' }, "SPRINT_CONFIG_VALUE", /tcp:\/\/HOST:PORT/],
    [{ toml: '[chains.bitcoin]\nrpc_user = "u"' }, "SPRINT_CONFIG_CONFLICT", /rpc_url/],
    [
      {
        toml: ["bitcoin", "litecoin", "dogecoin", "ethereum", "solana"]
          .map((name) => `chains.${name}.enabled = false`)
          .join("\n"),
      },
      "SPRINT_CONFIG_CONFLICT",
      /enabled/,
    ],
    [{ toml: '[pacing.FREE]\nmin = "2s"\nmax = "1s"' }, "SPRINT_CONFIG_CONFLICT", /pacing\.FREE/],
  ];
  for (const [given, code, words] of cases) {
    const error = refusal(given);
    assert.equal(error.code, code, `${JSON.stringify(given)}: ${error.message}`);
    assert.match(error.message, words);
  }
});

test("a refused value never shows a credential", () => {
  for (const toml of [
    '[chains.bitcoin]\nrpc_password = 12345678\nrpc_url = "http://h"',
    '[chains.bitcoin]\nrpc_url = "ftp://user:12345678@host"',
    '[chains.bitcoin]\nrpc_user = "u"\nrpc_url = "http://user:12345678@host"',
  ]) {
    const error = refusal({ toml });
    assert.doesNotMatch(error.message + JSON.stringify(error.data), /12345678/);
  }
});

test("a misspelt variable is a warning, another program's is not", () => {
  assert.match(load({ env: { SPRINT_TEIR: "FREE" } }).warnings[0] ?? "", /SPRINT_TEIR.*SPRINT_TIER/);
  assert.deepEqual(
    load({ env: { SPRINT_TOKEN: "x", SPRINT_CHAIN_DATA: "x", SPRINT_KUBERNETES_ZONE: "x" } }).warnings,
    [],
  );
});

test("the README's examples load", () => {
  const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
  const examples = [...readme.matchAll(/^```toml\n([\s\S]*?)^```/gm)].map(([, toml = ""]) =>
    load({ toml, env: { BITCOIN_RPC_PASSWORD: "x", GRAFANA_TOKEN: "x".repeat(16) } }),
  );
  assert.deepEqual(
    examples[0]?.chains.map((chain) => [chain.chain, chain.network, chain.upstreams.length]),
    [
      ["bitcoin", "mainnet", 2],
      ["litecoin", "regtest", 2],
      ["ethereum", "mainnet", 1],
      ["solana", "mainnet", 1],
    ],
  );
  assert.equal(examples[1]?.control.tokens[0]?.role, "viewer");
  assert.equal(examples[1]?.breakers.ENTERPRISE.failureThreshold, 30);
});

test("a dump holds no credential and loads again as what it was", () => {
  const url = "http://user:12345678@node:8332";
  const dump = dumpConfig(load({ flags: { chain: [`bitcoin=${url}`] } }));
  assert.doesNotMatch(JSON.stringify(dump), /12345678/);

  for (const flags of [
    {},
    { network: "mainnet", tier: "BUSINESS" },
    { chain: ["litecoin=p2p://h:1?network=regtest"] },
  ]) {
    const { file: _, ...before } = load({ flags });
    const text = toToml(dumpConfig(load({ flags })));
    assert.doesNotThrow(() => parseToml(text));
    const { file: __, ...after } = load({ toml: text });
    assert.deepEqual(after, before);
  }
});

test("what a chain's section says has no effect on devnet, and that is said", () => {
  const config = load({
    yaml: "network: devnet\nchains: {litecoin: {network: testnet, upstreams: ['p2p://127.0.0.1:1']}}",
  });
  assert.deepEqual(
    config.chains.map(({ chain, network, upstreams }) => [chain, network, upstreams]),
    [["litecoin", "regtest", []]],
  );
  assert.equal(config.warnings.length, 2);
  assert.match(
    config.warnings.join("\n"),
    /upstreams of chains\.litecoin are not used[^]*chains\.litecoin\.network is not used/,
  );
});
