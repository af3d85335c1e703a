/** The runner and the launcher, in a project of their own: a stand-in compiler, a program that says how it was started. */
import test from "node:test";
import assert from "node:assert/strict";
import { type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const directories: string[] = [];
test.after(() => directories.forEach((directory) => rmSync(directory, { recursive: true, force: true })));

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), "sprint-run-"));
  directories.push(directory);
  return directory;
}

const PROGRAM = `
const [verb] = process.argv.slice(2);
if (verb === "start") {
  process.on("SIGTERM", () => { console.log("SIGTERM"); process.exit(143); });
  setInterval(() => {}, 1000);
} else process.exitCode = verb === "fail" ? 7 : 0;
console.log(JSON.stringify({ args: process.argv.slice(2), cwd: process.cwd(), version: process.version }));
`;

/** Copies its one source, as slowly as a compiler, and leaves a mark for each run. */
const COMPILER = `
const fs = require("node:fs");
fs.appendFileSync("compiled", "x");
const out = process.argv[process.argv.indexOf("--outDir") + 1];
const source = fs.readFileSync("src/daemon/main.ts", "utf8");
if (source.includes("WRONG")) { console.log("error TS1: wrong"); process.exit(2); }
fs.mkdirSync(out + "/daemon", { recursive: true });
fs.writeFileSync(out + "/daemon/main.js", source);
`;

function project(): string {
  const root = temporary();
  const write = (path: string, text: string): void => {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const packages = { "": {}, "node_modules/typescript": { version: "1.0.0" } };
  write("package.json", '{"type":"module"}');
  write("package-lock.json", JSON.stringify({ packages }));
  write("tsconfig.json", "{}");
  write("tsconfig.build.json", "{}");
  write("src/daemon/main.ts", PROGRAM);
  write("test/a.test.ts", 'import test from "node:test"; test("of a", () => {});');
  write("test/deep/b.test.ts", 'import test from "node:test"; test("of b", () => { throw new Error("b"); });');
  write("node_modules/.package-lock.json", JSON.stringify({ packages }));
  write("node_modules/typescript/package.json", '{"type":"commonjs"}');
  write("node_modules/typescript/bin/tsc", COMPILER);
  mkdirSync(join(root, "node_modules/.bin"), { recursive: true });
  symlinkSync(process.execPath, join(root, "node_modules/.bin/node"));
  for (const path of ["scripts/run.mjs", "bin/sprint", "bin/package.json"]) {
    mkdirSync(join(root, path, ".."), { recursive: true });
    copyFileSync(join(repository, path), join(root, path));
  }
  chmodSync(join(root, "bin/sprint"), 0o755);
  return root;
}

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function begin(command: string, args: readonly string[], options: SpawnOptions = {}) {
  // The test runner's own variable would make a nested `node --test` report to it.
  const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...env } = process.env;
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    ...options,
    env: { ...env, ...options.env },
  });
  let [out, err] = ["", ""];
  child.stdout?.on("data", (chunk) => (out += chunk));
  child.stderr?.on("data", (chunk) => (err += chunk));
  const ended = once(child, "close").then(([code]): Outcome => ({ code, out, err }));
  return { child, ended };
}

function run(root: string, ...args: string[]): Promise<Outcome> {
  return begin(process.execPath, [join(root, "scripts/run.mjs"), ...args], { cwd: root }).ended;
}

const compiledTimes = (root: string): number => readFileSync(join(root, "compiled"), "utf8").length;

test("builds once, again when a source changed, and hands arguments and exit code on", async () => {
  const root = project();
  const first = await run(root, "sprint", "fail", "--x");
  assert.equal(first.code, 7, first.err);
  assert.deepEqual(JSON.parse(first.out).args, ["fail", "--x"]);
  const second = await run(root, "sprint", "status");
  assert.equal(second.code, 0);
  assert.equal(second.err, "");
  assert.equal(compiledTimes(root), 1);
  utimesSync(join(root, "src/daemon/main.ts"), 1, 1);
  await run(root, "sprint");
  assert.equal(compiledTimes(root), 2);
});

test("a failed build is told and leaves the last good one", async () => {
  const root = project();
  await run(root, "build");
  writeFileSync(join(root, "src/daemon/main.ts"), "WRONG");
  const { code, out, err } = await run(root, "sprint");
  assert.equal(code, 2);
  assert.match(err, /error TS1: wrong[\s\S]*the build failed/);
  assert.equal(out, "");
  assert.equal(readFileSync(join(root, "dist/daemon/main.js"), "utf8"), PROGRAM);
});

test("two first runs at once build once", async () => {
  const root = project();
  const outcomes = await Promise.all([run(root, "sprint"), run(root, "sprint"), run(root, "sprint")]);
  assert.deepEqual(
    outcomes.map(({ code }) => code),
    [0, 0, 0],
  );
  assert.equal(compiledTimes(root), 1);
});

test("the lock of a process that is gone is taken over", async () => {
  const root = project();
  const gone = spawn(process.execPath, ["-e", ""]);
  await once(gone, "exit");
  mkdirSync(join(root, ".sprint-lock"));
  writeFileSync(join(root, ".sprint-lock/pid"), String(gone.pid));
  assert.equal((await run(root, "build")).code, 0);
  assert.equal(existsSync(join(root, ".sprint-lock")), false);
});

test("an installation that does not fit the lock file is renewed with npm, without NODE_ENV", async () => {
  const root = project();
  writeFileSync(
    join(root, "package-lock.json"),
    JSON.stringify({ packages: { "": {}, "node_modules/new": { version: "2.0.0" } } }),
  );
  const npm = join(root, "npm-cli.js");
  writeFileSync(npm, "console.log(JSON.stringify([process.argv.slice(2), process.env.NODE_ENV]));");
  const env = { npm_execpath: npm, NODE_ENV: "production" };
  const runner = [join(root, "scripts/run.mjs"), "sprint"];
  const first = await begin(process.execPath, runner, { cwd: root, env }).ended;
  assert.equal(first.code, 0, first.err);
  const [args, nodeEnv] = JSON.parse(/^\[.*$/m.exec(first.err)?.[0] ?? "");
  assert.equal(args[0], "ci");
  assert.ok(args.includes("--include=dev") && args.includes("--include=optional"));
  assert.equal(nodeEnv, "");
  assert.equal(first.out.trim().split("\n").length, 1, "only the program writes to standard output");
  const second = await begin(process.execPath, runner, { cwd: root, env }).ended;
  assert.equal(second.err, "");
});

test("a signal reaches the program once, and its exit code comes back", async () => {
  const root = project();
  const { child, ended } = begin(process.execPath, [join(root, "scripts/run.mjs"), "start"], { cwd: root });
  await once(child.stdout ?? assert.fail(), "data");
  child.kill("SIGTERM");
  const { code, out } = await ended;
  assert.equal(code, 143);
  assert.equal(out.match(/SIGTERM/g)?.length, 1);
});

test("test takes parts of paths and options", async () => {
  const root = project();
  const good = await run(root, "test", "a.test", "--test-reporter=tap");
  assert.equal(good.code, 0, good.out + good.err);
  assert.match(good.out, /of a/);
  assert.doesNotMatch(good.out, /of b/);
  assert.equal((await run(root, "test", "deep/")).code, 1);
  const none = await run(root, "test", "nothing-like-this");
  assert.equal(none.code, 2);
  assert.match(none.err, /nothing-like-this/);
});

test("an unknown verb is told what there is", async () => {
  const { code, err } = await run(project(), "strat");
  assert.equal(code, 2);
  assert.match(err, /expected one of start, sprint, .*got strat/);
});

// --- bin/sprint

/** Makes this Node say that it is an older one. */
function pretend(root: string, version: string): Record<string, string> {
  const preload = join(root, "pretend.cjs");
  writeFileSync(
    preload,
    `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } });`,
  );
  return { NODE_OPTIONS: `--require ${preload}` };
}

/** As npm installs it: no scripts, built. */
function installed(): string {
  const root = project();
  rmSync(join(root, "scripts"), { recursive: true });
  mkdirSync(join(root, "dist/daemon"), { recursive: true });
  copyFileSync(join(root, "src/daemon/main.ts"), join(root, "dist/daemon/main.js"));
  return root;
}

test("the launcher in a checkout sets up and keeps the user's directory", async () => {
  const root = project();
  const elsewhere = temporary();
  const { code, out, err } = await begin(join(root, "bin/sprint"), ["hello"], { cwd: elsewhere }).ended;
  assert.equal(code, 0, err);
  assert.deepEqual(JSON.parse(out).args, ["hello"]);
  assert.match(JSON.parse(out).cwd, /sprint-run-/);
  assert.notEqual(JSON.parse(out).cwd, root);
});

test("the launcher in an installed package starts what was built", async () => {
  const { code, out, err } = await begin(join(installed(), "bin/sprint"), ["fail"]).ended;
  assert.equal(code, 7, err);
  assert.deepEqual(JSON.parse(out).args, ["fail"]);
});

test("the launcher on an old Node hands over to the pinned one", async () => {
  const root = installed();
  const pinned = join(root, "node_modules", `node-${process.platform}-${process.arch}`);
  mkdirSync(join(pinned, "bin"), { recursive: true });
  writeFileSync(join(pinned, "package.json"), "{}");
  writeFileSync(join(pinned, "bin/node"), `#!/bin/sh\nNODE_OPTIONS= exec "${process.execPath}" "$@"\n`, {
    mode: 0o755,
  });
  const { code, out, err } = await begin(join(root, "bin/sprint"), ["hi"], { env: pretend(root, "20.0.0") }).ended;
  assert.equal(code, 0, err);
  assert.equal(JSON.parse(out).version, process.version);
});

test("the launcher without any fitting Node says one sentence and ends with 69", async () => {
  const cases: readonly (readonly [string, string])[] = [
    [installed(), "20.0.0"],
    [project(), "12.22.0"],
  ];
  for (const [root, version] of cases) {
    const { code, out, err } = await begin(join(root, "bin/sprint"), ["start"], { env: pretend(root, version) }).ended;
    assert.equal(code, 69);
    assert.equal(out, "");
    assert.equal(err.trim().split("\n").length, 1);
    assert.match(err, new RegExp(`Node .*${version}.*install Node 26`));
  }
});
