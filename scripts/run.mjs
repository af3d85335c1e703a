// Runs the project's own commands on the pinned Node, whatever Node the machine has: installs from the lock file if that
// is due, builds if the sources are newer, starts the program, hands its exit code on. Only node:* imports and Node 18
// syntax: this file runs before anything is installed, on the machine's own Node.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join, resolve } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = resolve(fileURLToPath(import.meta.url), "../..");
const WANTED_MAJOR = 26;
/** A test that hangs fails, with its file, instead of holding up the run for ever. */
const TEST_TIMEOUT = "--test-timeout=300000";
const EX_USAGE = 2;
const EX_UNAVAILABLE = 69;

const MODULES = join(root, "node_modules");
const INSTALL_STAMP = join(MODULES, ".sprint-stamp");
const DIST = join(root, "dist");
const BUILD_STAMP = join(DIST, ".sprint-stamp");
const LOCK = join(root, ".sprint-lock");
const TSC = join("node_modules", "typescript", "bin", "tsc");
const OXLINT = join("node_modules", "oxlint", "bin", "oxlint");
const OXFMT = join("node_modules", "oxfmt", "bin", "oxfmt");
const SETUP_STDIO = ["inherit", 2, 2];

const VERBS = {
  start: async (args) => (await build()) || program("start", ...args),
  sprint: async (args) => (await build()) || program(...args),
  build: () => build(),
  test: test,
  check: () => check(),
  format: (args) => node(OXFMT, ...args),
  bench: (args) => node("test/bench/run.ts", ...args),
  fuzz: (args) => node("test/fuzz/run.ts", ...args),
};

/** Signals come in at any time; `running` is whom they are for. */
let running = null;
let stoppedBy = null;

await main(process.argv.slice(2));

async function main([verb, ...args]) {
  forwardSignals();
  const command = Object.hasOwn(VERBS, verb ?? "") ? VERBS[verb] : null;
  if (command === null) {
    return quit(EX_USAGE, `expected one of ${Object.keys(VERBS).join(", ")}, got ${verb ?? "nothing"}`);
  }
  process.exitCode = (await install()) || (await command(args));
}

// ---- install and build ----------------------------------------------------------------------------------------------

async function install() {
  const wanted = hashOf(readFileSync(join(root, "package-lock.json")), process.platform, process.arch);
  const done = () => read(INSTALL_STAMP) === wanted;
  if (done()) return 0;
  return locked(async () => {
    if (done()) return 0;
    if (!installedByHand()) {
      note("installing from the lock file, once");
      const code = await npmInstall();
      if (code !== 0) return code;
    }
    writeFileSync(INSTALL_STAMP, wanted);
    return 0;
  });
}

/** True when node_modules already holds what the lock file says: a developer's own `npm install` need not be redone. */
function installedByHand() {
  const have = read(join(MODULES, ".package-lock.json"));
  if (have === null) return false;
  const installed = JSON.parse(have).packages;
  const locked = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  return Object.entries(locked).every(
    ([path, entry]) => path === "" || (installed[path] ? installed[path].version === entry.version : entry.optional),
  );
}

function npmInstall() {
  const args = ["ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund", "--loglevel=error"];
  // NODE_ENV=production would leave out what the build needs. Standard output belongs to the program that follows.
  const options = { env: { ...process.env, NODE_ENV: "" }, stdio: SETUP_STDIO };
  // The npm that started us; npx says npx-cli.js, other package managers leave their own path.
  const cli = (process.env.npm_execpath ?? "").replace(/npx-cli\.js$/, "npm-cli.js");
  return cli.endsWith("npm-cli.js") && existsSync(cli)
    ? run(process.execPath, [cli, ...args], options)
    : run("npm", args, { ...options, shell: process.platform === "win32" });
}

async function build() {
  const done = () => read(BUILD_STAMP) === sourcesNow();
  if (done()) return 0;
  return locked(async () => {
    if (done()) return 0;
    const sources = sourcesNow();
    // Built beside and swapped in: a daemon that runs from dist never sees half a build, and removed files do not linger.
    const fresh = `${DIST}.new`;
    rmSync(fresh, { recursive: true, force: true });
    const code = await nodeIn(root, [TSC, "-p", "tsconfig.build.json", "--outDir", fresh], { stdio: SETUP_STDIO });
    if (code !== 0) return quit(code, "the build failed; what is wrong stands above");
    writeFileSync(join(fresh, ".sprint-stamp"), sources);
    rmSync(`${DIST}.old`, { recursive: true, force: true });
    if (existsSync(DIST)) renameSync(DIST, `${DIST}.old`);
    renameSync(fresh, DIST);
    rmSync(`${DIST}.old`, { recursive: true, force: true });
    return 0;
  });
}

/** Names, sizes and times of all that the build reads: a touch costs one build of a second, a miss would cost a wrong run. */
function sourcesNow() {
  const files = ["package.json", "tsconfig.json", "tsconfig.build.json", ...filesUnder("src")];
  return hashOf(
    ...files.map((file) => {
      const { size, mtimeMs } = statSync(join(root, file));
      return `${file} ${size} ${mtimeMs}`;
    }),
    read(INSTALL_STAMP) ?? "",
  );
}

/** Runs `work` while no other run of this script installs or builds here. The lock of a dead process is taken over. */
async function locked(work) {
  const holder = join(LOCK, "pid");
  for (let said = false; ; await sleep(100)) {
    try {
      mkdirSync(LOCK);
      writeFileSync(holder, String(process.pid));
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (stoppedBy !== null) return 128 + constants.signals[stoppedBy];
    if (isAbandoned(holder)) rmSync(LOCK, { recursive: true, force: true });
    else if (!said) {
      note(`another run (process ${read(holder) ?? "?"}) installs or builds here; waiting for it`);
      said = true;
    }
  }
  try {
    return await work();
  } finally {
    rmSync(LOCK, { recursive: true, force: true });
  }
}

function isAbandoned(holder) {
  const pid = Number(read(holder));
  try {
    // Between mkdir and the pid's arrival the lock has an owner that has no name yet.
    if (!pid) return Date.now() - statSync(LOCK).mtimeMs > 5_000;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH";
  }
}

// ---- verbs ----------------------------------------------------------------------------------------------------------

/** `npm test` is the check and every test; `npm test -- chain/ --test-name-pattern=x` only the files whose path holds `chain/`. */
async function test(args) {
  const options = args.filter((arg) => arg.startsWith("-"));
  const parts = args.filter((arg) => !arg.startsWith("-"));
  const all = filesUnder("test").filter((file) => file.endsWith(".test.ts"));
  const files = parts.length === 0 ? all : all.filter((file) => parts.some((part) => file.includes(part)));
  if (files.length === 0) return quit(EX_USAGE, `no test file's path holds ${parts.join(" or ")}`);
  const checked = parts.length === 0 ? await check() : 0;
  if (stoppedBy !== null) return checked;
  const tested = await node("--test", "--test-concurrency=2", TEST_TIMEOUT, ...options, ...files);
  if (checked !== 0) note("the check failed (its output is above the tests')");
  return checked || tested;
}

/** Every one runs, so that one look shows all that is wrong. */
async function check() {
  let worst = 0;
  for (const command of [
    [TSC, "-p", "tsconfig.json"],
    [OXLINT, "--deny-warnings"],
    [OXFMT, "--check"],
  ]) {
    const code = await node(...command);
    worst = worst || code;
    if (stoppedBy !== null) break;
  }
  return worst;
}

/** In the user's own directory, so that relative paths on the command line mean what they say. */
function program(...args) {
  return nodeIn(process.cwd(), [join(DIST, "daemon", "main.js"), ...args]);
}

// ---- processes ------------------------------------------------------------------------------------------------------

/** Runs the pinned Node, and lets what it starts find the same one. */
function node(...args) {
  return nodeIn(root, args);
}

function nodeIn(cwd, args, options = {}) {
  const binary = pinnedNode();
  if (binary === null) return EX_UNAVAILABLE;
  const path = [join(MODULES, ".bin"), process.env.PATH ?? ""].join(delimiter);
  return run(binary, args, { cwd, env: { ...process.env, PATH: path }, ...options });
}

function pinnedNode() {
  const pinned = join(MODULES, ".bin", "node");
  if (existsSync(pinned)) return pinned;
  if (Number(process.versions.node.split(".")[0]) >= WANTED_MAJOR) return process.execPath;
  const here = `${process.platform}-${process.arch}`;
  quit(
    EX_UNAVAILABLE,
    `no Node ${WANTED_MAJOR} comes with the dependencies for ${here}: install one and run this again`,
  );
  return null;
}

/** Resolves with the exit code, 128 + n for a death by signal n, as a shell reports it. */
function run(command, args, options) {
  return new Promise((settle) => {
    const child = spawn(command, args, { cwd: root, stdio: "inherit", ...options });
    running = child;
    const end = (code) => {
      running = null;
      settle(code);
    };
    child.on("error", (error) => end(quit(1, `could not start ${command}: ${error.message}`)));
    child.on("exit", (code, signal) => end(signal === null ? code : 128 + constants.signals[signal]));
  });
}

function forwardSignals() {
  // A terminal sends Ctrl-C to the whole group: handing it on too would count as a second one.
  const onTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      stoppedBy = signal;
      if (signal !== "SIGINT" || !onTerminal) running?.kill(signal);
    });
  }
}

// ---- small things ---------------------------------------------------------------------------------------------------

function filesUnder(directory) {
  const entries = readdirSync(join(root, directory), { withFileTypes: true });
  return entries
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      return entry.isDirectory() ? filesUnder(path) : [path];
    })
    .sort();
}

function hashOf(...parts) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex");
}

function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}

function note(sentence) {
  process.stderr.write(`sprint: ${sentence}\n`);
}

function quit(code, sentence) {
  note(sentence);
  process.exitCode = code;
  return code;
}
