/** What can be changed while running: breakers, tokens, the difference between two configurations, where values come from. */
import test from "node:test";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify as toToml } from "smol-toml";
import { policyOf } from "../../../src/daemon/breaker/index.ts";
import {
  type Config,
  type ConfigFlags,
  type ConfigSources,
  dumpConfig,
  loadConfig,
} from "../../../src/daemon/config/load.ts";
import { changesWhileRunning, diffConfig, diffDocuments } from "../../../src/daemon/config/diff.ts";
import { type ExplainedKey, explainConfig } from "../../../src/daemon/config/explain.ts";
import { PolicyBody } from "../../../src/shared/api.ts";
import { SprintError } from "../../../src/shared/errors.ts";

const directory = mkdtempSync(join(tmpdir(), "sprint-configdiff-"));
test.after(() => rmSync(directory, { recursive: true }));

const FILE = join(directory, "sprint.toml");
const SECRET = "hunter2hunter2hunter2";
const TOKEN = `[[control_tokens]]\nname = "grafana"\nrole = "viewer"\ntoken = "${SECRET}"\n`;

interface Given {
  readonly flags?: ConfigFlags;
  readonly env?: Record<string, string>;
}

function sources(toml: string, { flags = {}, env = {} }: Given = {}): ConfigSources {
  writeFileSync(FILE, toml);
  return { flags: { config: FILE, ...flags }, env: { XDG_STATE_HOME: directory, ...env }, cwd: directory };
}

const load = (toml: string, given?: Given): Config => loadConfig(sources(toml, given));

function refusal(toml: string): SprintError {
  try {
    load(toml);
  } catch (error) {
    assert.ok(error instanceof SprintError, String(error));
    return error;
  }
  assert.fail("expected a refusal");
}

const changesOf = (from: string, to: string): unknown[] =>
  diffConfig(load(from), load(to)).map(({ key, from: was, to: is, restart }) => [key, was, is, restart]);

// --- [breakers.TIER]

test("a tier's breaker is its row with what is written over it", () => {
  const { breakers } = load(`
[breakers.BUSINESS]
failure_threshold = 12
reset_timeout = "20s"
slow_floor = "15ms"
bad_rate = 0.5
adaptive = false
`);
  const changes = { failureThreshold: 12, resetTimeoutMs: 20_000, slowFloorMs: 15, badRate: 0.5, adaptive: false };
  assert.deepEqual(breakers.BUSINESS, policyOf("BUSINESS", changes));
  assert.deepEqual(breakers.FREE, policyOf("FREE"));
});

test("the file's keys are those of the control API, times without their unit", () => {
  const dumped = (dumpConfig(load("")) as { breakers: { FREE: object } }).breakers.FREE;
  const wanted = Object.keys(PolicyBody.properties).map((key) => key.replace(/_ms$/, ""));
  assert.deepEqual(Object.keys(dumped).toSorted(), wanted.toSorted());
});

test("a breaker that contradicts itself is told with file, key and the file's own words", () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['[breakers.FREE]\nreset_timeout = "50ms"', "breakers.FREE.first_open", /at most reset_timeout, 50ms, got 100ms/],
    ["[breakers.FREE]\npredictive = true", "breakers.FREE.predictive", /false where adaptive is false, got true/],
    ["[breakers.FREE]\nbad_rate = 2", "breakers.FREE.bad_rate", /a number from 0.05 to 0.95, got 2/],
    ["[breakers.FREE]\nfailure_threshold = 1.5", "breakers.FREE.failure_threshold", /whole number from 1 to 1000/],
    ['[breakers.FREE]\nabandon = "1s"', "breakers.FREE.abandon", /at least slow_call, 10s, got 1s/],
    ['[breakers.FREE]\nslow_call = "0s"', "breakers.FREE.slow_call", /a duration from 1ms to 1d, got 0s/],
    ["[breakers.FREE]\nslow_call = 5", "breakers.FREE.slow_call", /a duration with its unit/],
    ['[breakers.FREE]\nbad_rate = "x"', "breakers.FREE.bad_rate", /a number, got "x"/],
    ["[breakers.FREE]\nreset_timeout_ms = 5", "breakers.FREE.reset_timeout_ms", /mean reset_timeout/],
    ["[breakers.GOLD]", "breakers.GOLD", /FREE/],
  ];
  for (const [toml, key, words] of cases) {
    const error = refusal(toml);
    assert.match(error.code, /^SPRINT_CONFIG_/);
    assert.deepEqual([error.data["file"], error.data["key"]], [FILE, key], toml);
    assert.match(error.message, words);
  }
});

// --- control_tokens

test("tokens have a name, a role and a secret, which may come from the environment", () => {
  const toml = 'control_tokens = [{ name = "grafana", role = "viewer", token = "${GRAFANA_TOKEN}" }]';
  const { control, warnings } = load(toml, { env: { GRAFANA_TOKEN: SECRET } });
  assert.deepEqual(control.tokens, [{ name: "grafana", role: "viewer", token: SECRET }]);
  assert.deepEqual(warnings, []);
});

test("tokens that cannot be told apart, or are none, are refused without being shown", () => {
  const entry = (name: string, role: string, token: string): string =>
    `{ name = "${name}", role = "${role}", token = "${token}" }`;
  const many = Array.from({ length: 65 }, (_, i) => entry(`n${i}`, "viewer", `${SECRET}${i}`));
  const cases: readonly (readonly [string, RegExp])[] = [
    [entry("cookie", "viewer", SECRET), /control_tokens\[0\]\.name.*cookie/],
    [entry("SIGHUP", "viewer", SECRET), /control_tokens\[0\]\.name.*"SIGHUP"/],
    [entry("a.b", "viewer", SECRET), /control_tokens\[0\]\.name.*"a\.b"/],
    [entry("a b", "viewer", SECRET), /control_tokens\[0\]\.name.*"a b"/],
    [entry("a", "root", SECRET), /control_tokens\[0\]\.role.*viewer, operator, admin.*"root"/],
    [entry("a", "viewer", "hunter2"), /control_tokens\[0\]\.token.*16/],
    [entry("a", "viewer", "hunter2 with some spaces"), /control_tokens\[0\]\.token/],
    [`${entry("a", "viewer", SECRET)}, ${entry("a", "admin", `${SECRET}2`)}`, /control_tokens\[1\]\.name.*twice/],
    [`${entry("a", "viewer", SECRET)}, ${entry("b", "admin", SECRET)}`, /control_tokens\[1\]\.token.*a\b/],
    [`{ role = "viewer", token = "${SECRET}" }`, /control_tokens\[0\]\.name/],
    [`"${SECRET}"`, /control_tokens\[0\]/],
    [many.join(", "), /at most 64/],
  ];
  for (const [entries, words] of cases) {
    const error = refusal(`control_tokens = [${entries}]`);
    assert.match(error.message, words);
    assert.doesNotMatch(error.message + JSON.stringify(error.data), /hunter2/, entries);
  }
});

test("a dump leaves the tokens out and loads all the same: nobody is let in by what it shows", () => {
  const toml = toToml(dumpConfig(load(`[breakers.FREE]\nreset_timeout = "90s"\n${TOKEN}`)));
  assert.doesNotMatch(toml, /hunter2|token = /);
  const again = load(toml);
  assert.deepEqual(again.control.tokens, []);
  assert.match(again.warnings.join(), /no token for grafana/);
  assert.equal(again.breakers.FREE.resetTimeoutMs, 90_000);
});

// --- the difference

test("the same configuration twice has no difference", () => {
  assert.deepEqual(changesOf(TOKEN, `${TOKEN}\n[ports]\nFREE = 8080\n`), []);
});

test("each key that differs is told once, and whether it waits for a restart", () => {
  const from = `host = "127.0.0.1"\n[log]\nlevel = "info"\n[chains.litecoin]\nupstreams = ["p2p://10.0.0.1", "p2p://10.0.0.2"]`;
  const to = `host = "0.0.0.0"
shutdown_timeout = "20s"
[log]
level = "debug"
[limits.FREE]
connections = "unlimited"
[pacing.FREE]
max = "80ms"
[breakers.FREE]
reset_timeout = "1m"
[chains.litecoin]
upstreams = ["p2p://10.0.0.1", "p2p://10.0.0.3"]
validation_level = "header"`;
  assert.deepEqual(changesOf(from, to), [
    ["host", "127.0.0.1", "0.0.0.0", true],
    ["shutdown_timeout", "10s", "20s", false],
    ["log.level", "info", "debug", false],
    ["limits.FREE.connections", 100, "unlimited", false],
    ["pacing.FREE.max", "100ms", "80ms", false],
    ["breakers.FREE.reset_timeout", "2m", "1m", false],
    ["chains.litecoin.upstreams", ["p2p://10.0.0.1", "p2p://10.0.0.2"], ["p2p://10.0.0.1", "p2p://10.0.0.3"], false],
    ["chains.litecoin.validation_level", "full", "header", true],
  ]);
});

test("a chain or a tier that comes or goes waits, and so does a chain that gets or loses its own upstreams", () => {
  const own = '[chains.litecoin]\nupstreams = ["p2p://10.0.0.1"]\n';
  const appeared = diffConfig(load(own), load(`${own}[chains.bitcoin]\nupstreams = ["p2p://10.0.0.2"]`));
  assert.ok(appeared.length > 0 && appeared.every(({ from, restart }) => from === null && restart));
  const tiers = diffConfig(load('tiers = ["FREE"]'), load('tiers = ["FREE", "BUSINESS"]'));
  assert.ok(tiers.some(({ key }) => key === "limits.BUSINESS.connections"));
  assert.ok(tiers.every(({ restart }) => restart));
  const empty = 'network = "mainnet"\n[chains.litecoin]\n';
  const peers = 'network = "mainnet"\n[chains.litecoin]\nupstreams = ["p2p://10.0.0.1"]';
  const mempool = (from: boolean) => ["chains.litecoin.mempool", from, !from, true];
  assert.deepEqual(changesOf(empty, peers), [
    ["chains.litecoin.upstreams", [], ["p2p://10.0.0.1"], true],
    mempool(false),
  ]);
  assert.deepEqual(changesOf(peers, empty), [
    ["chains.litecoin.upstreams", ["p2p://10.0.0.1"], [], true],
    mempool(true),
  ]);
});

test("a token that comes, goes or changes is told by its name, never by itself", () => {
  const shown = { role: "viewer", token: "***" };
  assert.deepEqual(changesOf("", TOKEN), [["control_tokens.grafana", null, shown, false]]);
  assert.deepEqual(changesOf(TOKEN, ""), [["control_tokens.grafana", shown, null, false]]);
  const other = changesOf(TOKEN, TOKEN.replace(SECRET, `${SECRET}2`));
  assert.deepEqual(other, [["control_tokens.grafana", shown, { ...shown, changed: "what is not shown" }, false]]);
  assert.deepEqual(changesOf(TOKEN, TOKEN.replace("viewer", "admin")), [
    ["control_tokens.grafana", shown, { role: "admin", token: "***" }, false],
  ]);
});

test("a changed password of an upstream is told as changed, and not shown", () => {
  const upstream = (password: string): string =>
    `[chains.litecoin]\nrpc_url = "http://10.0.0.1"\nrpc_user = "u"\nrpc_password = "${password}"`;
  const changes = diffConfig(load(upstream(SECRET)), load(upstream(`${SECRET}2`)));
  assert.deepEqual(
    changes.map(({ key, restart }) => [key, restart]),
    [["chains.litecoin.upstreams", false]],
  );
  assert.doesNotMatch(JSON.stringify(changes), /hunter2/);
  assert.match(JSON.stringify(changes[0]?.to), /changed/);
});

test("two dumps, one of them over the wire, are compared like the configurations", () => {
  const [from, to] = [load(TOKEN), load('[limits.FREE]\nconnections = "unlimited"')];
  const wire = JSON.parse(JSON.stringify(dumpConfig(from)));
  assert.deepEqual(diffDocuments(wire, dumpConfig(from)), []);
  assert.deepEqual(
    diffDocuments(wire, dumpConfig(to)).map(({ key, restart }) => [key, restart]),
    [
      ["limits.FREE.connections", false],
      ["control_tokens.grafana", false],
    ],
  );
});

test("the keys that change while running are keys that there are, and the others are none of them", () => {
  const known = explainConfig(sources(TOKEN)).map(({ key }) => key);
  const running = known.filter(changesWhileRunning);
  for (const section of ["log", "shutdown_timeout", "limits", "pacing", "breakers", "chains", "control_tokens"]) {
    assert.ok(
      running.some((key) => key.split(".")[0] === section),
      section,
    );
  }
  for (const key of ["host", "data_dir", "ports.FREE", "log.format", "chains.bitcoin.network", "tiers"]) {
    assert.equal(changesWhileRunning(key), false, key);
  }
});

// --- where values come from

test("each value says where it comes from, and one of them who was not heard", () => {
  const toml = `tier = "FREE"
[log]
level = "debug"
[pacing.FREE]
min = "1ms"
[breakers.FREE]
reset_timeout = "1m"
[chains.bitcoin]
rpc_url = "http://u:${SECRET}@10.0.0.1?network=testnet4"
[chains.litecoin]
network = "regtest"
validation_level = "header"
${TOKEN}`;
  const chain = ["litecoin=p2p://10.0.0.2?network=regtest"];
  const given = sources(toml, {
    flags: { chain, logLevel: "trace" },
    env: { SPRINT_LOG_LEVEL: "warn", SPRINT_HOST: "10.1.1.1" },
  });
  const explained = new Map(explainConfig(given).map((each) => [each.key, each]));
  const from = (key: string): string | undefined => explained.get(key)?.from;
  assert.deepEqual(
    [
      "tiers",
      "host",
      "control_port",
      "data_dir",
      "network",
      "pacing.FREE.min",
      "pacing.FREE.max",
      "breakers.FREE.reset_timeout",
      "breakers.FREE.first_open",
      "chains.bitcoin.upstreams",
      "chains.bitcoin.network",
      "chains.bitcoin.enabled",
      "chains.litecoin.upstreams",
      "chains.litecoin.network",
      "chains.litecoin.validation_level",
      "control_tokens.grafana",
    ].map(from),
    [
      `${FILE}: tier`,
      "SPRINT_HOST",
      "default",
      "XDG_STATE_HOME",
      "the networks of the chains",
      `${FILE}: pacing.FREE.min`,
      "default",
      `${FILE}: breakers.FREE.reset_timeout`,
      "default",
      `${FILE}: chains.bitcoin.rpc_url`,
      "the URLs of chains.bitcoin.upstreams",
      `${FILE}: chains.bitcoin`,
      "--chain",
      `${FILE}: chains.litecoin.network`,
      `${FILE}: chains.litecoin.validation_level`,
      `${FILE}: control_tokens`,
    ],
  );
  assert.deepEqual(explained.get("log.level"), {
    key: "log.level",
    value: "trace",
    from: "--log-level",
    over: ["SPRINT_LOG_LEVEL", `${FILE}: log.level`],
    whileRunning: true,
  } satisfies ExplainedKey);
  assert.doesNotMatch(JSON.stringify([...explained.values()]), /hunter2/);
});

test("one key, one section, and a key that is none", () => {
  const given = sources("");
  assert.deepEqual(
    explainConfig(given, "limits.FREE").map(({ key }) => key),
    ["limits.FREE.connections", "limits.FREE.events_per_second", "limits.FREE.api_calls_per_minute"],
  );
  assert.equal(explainConfig(given, "host").length, 1);
  assert.throws(() => explainConfig(given, "log.levle"), { code: "SPRINT_CONFIG_UNKNOWN_KEY", message: /log\.level/ });
  assert.throws(() => explainConfig(given, "x"), { code: "SPRINT_CONFIG_UNKNOWN_KEY", message: /breakers/ });
});
