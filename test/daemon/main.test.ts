/** The program as a user starts it: exit codes, what stands on which stream, signals. */
import test from "node:test";
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/daemon/main.ts", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "sprint-main-"));
test.after(() => rmSync(directory, { recursive: true, force: true }));

let runs = 0;

function begin(
  args: readonly string[],
  dataDir = join(directory, String(++runs)),
): { child: ChildProcess; dataDir: string } {
  const env = { ...process.env, NO_COLOR: "1", SPRINT_DATA_DIR: dataDir, XDG_CONFIG_HOME: join(directory, "none") };
  const child = spawn(process.execPath, [MAIN, ...args], { env, cwd: directory, stdio: ["ignore", "pipe", "pipe"] });
  return { child, dataDir };
}

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function outcomeOf({ child }: { child: ChildProcess }): Promise<Outcome> {
  let [out, err] = ["", ""];
  child.stdout?.on("data", (chunk) => (out += chunk));
  child.stderr?.on("data", (chunk) => (err += chunk));
  const [code] = await once(child, "close");
  return { code, out, err };
}

const run = (...args: string[]): Promise<Outcome> => outcomeOf(begin(args));

const FREE_PORTS = ["--port", "0", "--control-port", "0"];

test("every command has help with an example, on standard output, exit code 0", async () => {
  const commands: readonly string[][] = [
    [],
    ["start"],
    ["status"],
    ["stop"],
    ["race"],
    ["upstreams", "cordon"],
    ["breakers"],
    ...["list", "get", "history", "force-open", "force-close", "reset", "set"].map((name) => ["breakers", name]),
    ["audit"],
    ["completion"],
    ["doctor"],
    ["version"],
    ["inspect"],
    ["config", "dump"],
    ["config", "diff"],
    ["config", "explain"],
    ["config", "reload"],
  ];
  const outcomes = await Promise.all(commands.map((command) => run(...command, "--help")));
  for (const [i, { code, out, err }] of outcomes.entries()) {
    assert.equal(code, 0, commands[i]?.join(" ") ?? "");
    assert.match(out, /Example/);
    assert.equal(err, "");
  }
});

test("wrong usage is exit code 2, with what was meant, on standard error", async () => {
  const cases: readonly (readonly [string[], RegExp])[] = [
    [["strat"], /Did you mean start/],
    [["start", "--teir", "FREE"], /Did you mean --tier/],
    [["start", "--tier", "GOLD"], /--tier takes one of FREE, BUSINESS, ENTERPRISE.*SPRINT_CONFIG_VALUE/],
    [["race"], /--chain/],
    [["inspect", "--chain", "etherium", "-"], /bitcoin, litecoin, dogecoin, ethereum/],
    [["race", "--chain", "litecoin", "--last", "0"], /1 to 1000/],
    [["stop", "--timeout", "5"], /unit/],
    [["breakers", "set", "store", "bad_rat=0.5"], /did you mean bad_rate\?.*SPRINT_CLI_SET/],
    [
      ["inspect", "--json", "--quiet", "--no-color", "--chain", "bitcoin", "--network", "moon", "-"],
      /SPRINT_CLI_NETWORK/,
    ],
    [["config", "validate", "nowhere.toml"], /nowhere\.toml/],
  ];
  const outcomes = await Promise.all(cases.map(([args]) => run(...args)));
  for (const [i, { code, out, err }] of outcomes.entries()) {
    assert.equal(code, 2, `${cases[i]?.[0].join(" ")}: ${err}`);
    assert.match(err, cases[i]?.[1] ?? /$^/);
    assert.doesNotMatch(err, /\n\s+at /, "a stack trace");
    assert.equal(out, "");
  }
});

test("no daemon is exit code 3, with --json as one document", async () => {
  const [plain, json] = await Promise.all([run("status"), run("status", "--json")]);
  assert.equal(plain.code, 3);
  assert.match(plain.err, /sprint start/);
  assert.equal(json.code, 3);
  assert.equal(JSON.parse(json.err).error.code, "SPRINT_CLIENT_NO_DAEMON");
  assert.equal(json.out, "");
});

test("config dump prints what loads again; validate names the chains", async () => {
  const file = join(directory, "sprint-a.yaml");
  writeFileSync(
    file,
    "chains:\n  litecoin:\n    upstreams: ['http://u:hunter2@127.0.0.1:1']\n  dogecoin: {enabled: false}\n",
  );
  const [dump, validate] = await Promise.all([run("config", "dump", file), run("config", "validate", file)]);
  assert.equal(dump.code, 0);
  assert.match(dump.out, /^\[chains\.litecoin\]$/m);
  assert.doesNotMatch(dump.out, /hunter2/);
  assert.equal(validate.code, 0);
  assert.match(validate.out, /valid .*mainnet: litecoin mainnet/);
});

test("doctor fails, and says where, when a port is taken and an upstream is not there", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  const gone = createServer().listen(0, "127.0.0.1");
  await Promise.all([once(taken, "listening"), once(gone, "listening")]);
  const ports = [taken, gone].map((server) => (server.address() as { port: number }).port);
  gone.close();
  await once(gone, "close");
  const listeners = ["--tier", "FREE", "--port", String(ports[0]), "--control-port", "0"];
  const rpc = `rpc=http://user:secret@127.0.0.1:${ports[0]}`;
  const chain = ["--chain", `litecoin=p2p://127.0.0.1:${ports[1]}?network=regtest&${rpc}`];
  const { code, out } = await run("doctor", ...listeners, ...chain, "--json");
  taken.close();
  const { ok, checks } = JSON.parse(out);
  assert.equal(code, 1);
  assert.equal(ok, false);
  const failed = checks.filter((each: { ok: boolean }) => !each.ok).map((each: { check: string }) => each.check);
  assert.deepEqual(failed, ["port of FREE", "upstream of litecoin"]);
  const asked = checks.filter(({ check }: { check: string }) => check === "upstream of litecoin");
  const [, beside] = asked.map(({ found }: { found: string }) => found);
  assert.match(beside, new RegExp(`rpc=http://\\*\\*\\*@127.* at 127\\.0\\.0\\.1:${ports[0]}: reachable`));
  assert.ok(!out.includes("secret"));
});

test("devnet: events on standard output, logs on standard error, clean up on SIGTERM", async () => {
  const started = begin(["start", ...FREE_PORTS]);
  const { child, dataDir } = started;
  const lines = createInterface({ input: child.stdout ?? assert.fail() });
  const ended = outcomeOf(started);
  for await (const line of lines) {
    const event = JSON.parse(line);
    assert.equal(event.network, "devnet");
    if (event.type === "block" && event.phase === "announced") {
      assert.ok(event.data.relay_time_ms >= 0);
      break;
    }
  }
  const control = JSON.parse(readFileSync(join(dataDir, "control.json"), "utf8"));
  assert.equal(control.pid, child.pid);

  const second = await outcomeOf(begin(["start", ...FREE_PORTS], dataDir));
  assert.equal(second.code, 1);
  assert.match(second.err, new RegExp(`process ${child.pid};.*SPRINT_DATA_DIR_LOCKED`));

  const status = await outcomeOf(begin(["status", "--json"], dataDir));
  assert.equal(JSON.parse(status.out).network, "devnet");

  child.kill("SIGTERM");
  const { code, err } = await ended;
  assert.equal(code, 143);
  assert.match(err, /relays devnet: embedded nodes, no real blocks/);
  for (const line of err.trim().split("\n")) assert.doesNotThrow(() => JSON.parse(line));
  for (const name of ["control.json", ".cookie", "lock"]) assert.equal(existsSync(join(dataDir, name)), false, name);
});

test("stop waits until the daemon has ended, and that is exit code 0 for both", async () => {
  const started = begin(["start", "--quiet", ...FREE_PORTS]);
  const ended = outcomeOf(started);
  await controlFile(started.dataDir, started.child);
  const stop = await outcomeOf(begin(["stop"], started.dataDir));
  assert.equal(stop.code, 0, stop.err);
  assert.equal(stop.out, "stopped\n");
  const { code, out, err } = await ended;
  assert.equal(code, 0);
  assert.equal(out + err, "");
});

test("the configuration changes while it runs: diff, dry run, reload, and SIGHUP, which does not end it", async () => {
  const file = join(directory, "sprint-running.toml");
  const listeners = 'tiers = ["FREE"]\ncontrol_port = 0\nports = { FREE = 0 }\n';
  writeFileSync(file, `${listeners}log = { level = "info" }\n`);
  const started = begin(["start", "--config", file]);
  const { child, dataDir } = started;
  const ended = outcomeOf(started);
  await controlFile(dataDir, child);
  const log = createInterface({ input: child.stderr ?? assert.fail() });
  const config = (...args: string[]): Promise<Outcome> => outcomeOf(begin(["config", ...args], dataDir));

  assert.equal((await config("diff", file)).code, 0);
  writeFileSync(file, `${listeners}log = { level = "debug" }\nlimits = { FREE = { connections = 7 } }\n`);
  const diff = await config("diff", file);
  assert.equal(diff.code, 1);
  assert.match(diff.out, /^~ +log\.level +info +debug\n~ +limits\.FREE\.connections +100 +7\n$/m);
  const dry = JSON.parse((await config("reload", "--dry-run", "--json")).out);
  assert.deepEqual([dry.applied, dry.changes.length], [false, 2]);
  assert.equal((await config("diff", file, "--quiet")).code, 1, "nothing was applied");
  const applied = await config("reload");
  assert.match(applied.out, /^applied:\n[^]*connections +100 +7/);
  const status = await outcomeOf(begin(["status", "--json"], dataDir));
  assert.equal(JSON.parse(status.out).tiers[0].connections_limit, 7);

  writeFileSync(file, `${listeners}log = { level = "debug" }\nhost = "0.0.0.0"\n`);
  const refused = await config("reload");
  assert.equal(refused.code, 2);
  assert.match(refused.err, /~ +host +127\.0\.0\.1 +0\.0\.0\.0 +restart\n[^]*SPRINT_CONFIG_NEEDS_RESTART/);

  writeFileSync(file, `${listeners}log = { level = "debug" }\nlimits = { FREE = { connections = 9 } }\n`);
  child.kill("SIGHUP");
  for await (const line of log) if (line.includes("configuration changed: limits.FREE.connections: 7 → 9")) break;
  assert.equal((await config("diff", file)).code, 0);
  child.kill("SIGTERM");
  assert.equal((await ended).code, 143);
});

test("a port in use ends the start with a sentence and leaves nothing behind", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as { port: number };
  const started = begin(["start", "--tier", "FREE", "--port", String(port), "--control-port", "0"]);
  const { code, err } = await outcomeOf(started);
  taken.close();
  assert.equal(code, 1);
  assert.match(err, new RegExp(`${port}.*SPRINT_`));
  assert.equal(existsSync(join(started.dataDir, "lock")), false);
});

test("a data directory that is none is told with its path", async () => {
  const file = join(directory, "a-file");
  writeFileSync(file, "");
  mkdirSync(join(directory, "x"), { recursive: true });
  const { code, err } = await run("start", "--data-dir", join(file, "below"), ...FREE_PORTS);
  assert.equal(code, 1);
  assert.match(err, /a-file\/below.*SPRINT_DATA_DIR_UNUSABLE/);
});

test("a data directory that goes away during the start ends it: no daemon is left that nobody can find", async () => {
  const started = begin(["start", ...FREE_PORTS]);
  while (!existsSync(join(started.dataDir, ".cookie"))) await new Promise((resolve) => setTimeout(resolve, 5));
  rmSync(started.dataDir, { recursive: true });
  const { code, err } = await outcomeOf(started);
  assert.equal(code, 1);
  assert.match(err, /SPRINT_DATA_DIR_UNUSABLE/);
});

const noScript = spawnSync("script", ["--version"]).status !== 0 && "no script(1) to make a terminal with";

test("a terminal that is closed under the live view ends the daemon cleanly", { skip: noScript }, async () => {
  const dataDir = join(directory, String(++runs));
  const command = [process.execPath, MAIN, "start", ...FREE_PORTS, "--data-dir", dataDir].join(" ");
  const env = { ...process.env, TERM: "xterm" };
  const terminal = spawn("script", ["-qfc", command, "/dev/null"], {
    env,
    cwd: directory,
    stdio: ["pipe", "pipe", "pipe"],
  });
  await controlFile(dataDir, terminal);
  const { pid } = JSON.parse(readFileSync(join(dataDir, "control.json"), "utf8")) as { pid: number };
  // The live view has drawn its first frame.
  for await (const chunk of terminal.stdout) if (String(chunk).includes("UPSTREAM")) break;
  terminal.kill("SIGKILL");
  while (existsSync(`/proc/${pid}`)) await new Promise((resolve) => setTimeout(resolve, 50));
  for (const name of ["control.json", ".cookie", "lock"]) assert.equal(existsSync(join(dataDir, name)), false, name);
});

/** Resolves once the daemon says where it listens. */
async function controlFile(dataDir: string, child: ChildProcess): Promise<void> {
  const path = join(dataDir, "control.json");
  while (!existsSync(path)) {
    assert.equal(child.exitCode, null, "the daemon ended before it listened");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
