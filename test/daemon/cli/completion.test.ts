/** Completion scripts, in the shells they are for. */
import test from "node:test";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { CHAINS } from "../../../src/shared/chain.ts";
import { TOKEN, startFake } from "../server/daemon.ts";
import { run } from "./run.ts";

const directory = mkdtempSync(join(tmpdir(), "sprint-completion-"));
test.after(() => rmSync(directory, { recursive: true, force: true }));

// The program that the scripts ask for names.
const program = join(directory, "sprint");
writeFileSync(
  program,
  '#!/bin/sh\n[ "$*" = "__complete breakers" ] && printf "%s\\n" upstream:ltc:1 upstream:ltc:2 store\n',
);
chmodSync(program, 0o755);
const env = { ...process.env, PATH: `${directory}${delimiter}${process.env["PATH"]}` };

async function scriptFor(shell: string): Promise<string> {
  const { code, out, err } = await run(["completion", shell]);
  assert.equal(code, 0, err);
  const file = join(directory, `completion.${shell}`);
  writeFileSync(file, out);
  return file;
}

const without = (shell: string): string | false => spawnSync(shell, ["--version"]).status !== 0 && `no ${shell}`;

/** What stands on the line, and what a Tab offers. In bash a colon begins a new word. */
const LINES: readonly (readonly [string, readonly string[]])[] = [
  ["sprint br", ["breakers"]],
  ["sprint breakers force-", ["force-open", "force-close"]],
  ["sprint breakers force-open st", ["store"]],
  ["sprint breakers get --json st", ["store"]],
  ["sprint breakers get --token secret st", ["store"]],
  ["sprint breakers set store slow_f", ["slow_floor_ms="]],
  ["sprint breakers set store adaptive=true slow_f", ["slow_floor_ms="]],
  ["sprint race --chain ", CHAINS],
  ["sprint inspect --level h", ["header"]],
  ["sprint start --tier E", ["ENTERPRISE"]],
  ["sprint completion ", ["bash", "zsh", "fish"]],
  ["sprint upstreams c", ["cordon"]],
  ["sprint stop --time", ["--timeout"]],
  ["sprint stop --timeout ", []],
];

test("bash offers commands, options, choices and names", { skip: without("bash") }, async () => {
  const script = await scriptFor("bash");
  const colon = ["sprint breakers get upstream:l", ["ltc:1", "ltc:2"]] as const;
  const equals = ["sprint race --chain=do", ["dogecoin"]] as const;
  for (const [line, expected] of [...LINES, colon, equals]) {
    const type = 'source "$0"; COMP_LINE="$1"; COMP_POINT=${#1}; _sprint sprint; printf "%s\\n" "${COMPREPLY[@]}"';
    const { stdout, stderr } = spawnSync("bash", ["--norc", "-c", type, script, line], { env, encoding: "utf8" });
    const offered = stdout.split("\n").filter((word) => word !== "");
    assert.deepEqual(offered.toSorted(), expected.toSorted(), `${line}: ${stderr}`);
  }
});

test("fish offers the same", { skip: without("fish") }, async () => {
  const script = await scriptFor("fish");
  const colon = ["sprint breakers get upstream:l", ["upstream:ltc:1", "upstream:ltc:2"]] as const;
  for (const [line, expected] of [...LINES, colon]) {
    const args = ["--no-config", "-c", "source $argv[1]; complete -C $argv[2]", script, line];
    const { stdout, stderr } = spawnSync("fish", args, { env, encoding: "utf8" });
    const offered = stdout.split("\n").flatMap((each) => each.split("\t")[0] || []);
    assert.deepEqual(offered.toSorted(), expected.toSorted(), `${line}: ${stderr}`);
  }
});

test("zsh reads its script", { skip: without("zsh") }, async () => {
  const { status, stderr } = spawnSync("zsh", ["-n", await scriptFor("zsh")], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
});

test("names come from the daemon; without one there is silence, and no command in a name reaches a shell", async () => {
  await using daemon = await startFake();
  daemon.pool.open("$(reboot)", daemon.pool.policyOf(daemon.pool.handleOf("upstream:bitcoin:btc-1") ?? 0), 0);
  const asked = await run(["__complete", "breakers"], {
    env: { SPRINT_CONTROL_URL: daemon.control, SPRINT_TOKEN: TOKEN },
  });
  assert.deepEqual(asked.out.trim().split("\n"), ["upstream:bitcoin:btc-1", "upstream:litecoin:ltc-1"]);
  const alone = await run(["__complete", "upstreams"], { env: { SPRINT_DATA_DIR: join(directory, "none") } });
  assert.deepEqual(alone, { code: 1, out: "", err: "" });
});

test("a shell that is none is wrong usage, and what is hidden is in no help", async () => {
  const { code, err } = await run(["completion", "tcsh"]);
  assert.equal(code, 2);
  assert.match(err, /bash, zsh, fish/);
  assert.doesNotMatch((await run(["--help"])).out, /__complete/);
});
