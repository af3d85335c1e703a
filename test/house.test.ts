/** The house's rules, held against the whole of src; and each rule against a bad example, so that it can fail. */
import test from "node:test";
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type Sources,
  bare,
  cycles,
  deadLinks,
  doorViolations,
  emptyNames,
  floorViolations,
  importsOf,
  impurities,
  narrowViolations,
  roomOf,
  undeclared,
} from "./house/rules.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

const house: Sources = new Map(
  readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .map((path) => `src/${path.replaceAll("\\", "/")}`)
    .filter((path) => /\.tsx?$/.test(path))
    .map((path) => [path, readFileSync(join(root, path), "utf8")]),
);

const MAX_LINES = 500;

test("imports go down, never up, never sideways", () => assert.deepEqual(floorViolations(house), []));
test("every room is entered by its door", () => assert.deepEqual(doorViolations(house), []));
test("no file depends on itself", () => assert.deepEqual(cycles(house), []));
test("server takes only types from floor 2, companions only shared", () =>
  assert.deepEqual(narrowViolations(house), []));
test("pure rooms read no clock, no randomness, no process, no socket", () => assert.deepEqual(impurities(house), []));
test("names say something", () => assert.deepEqual(emptyNames(house), []));

test("every package that src imports is a declared dependency", () => {
  const { dependencies, optionalDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  assert.deepEqual(undeclared(house, Object.keys({ ...dependencies, ...optionalDependencies })), []);
});

test("no file holds two rooms", () => {
  const long = [...house].filter(([, source]) => source.split("\n").length > MAX_LINES).map(([path]) => path);
  assert.deepEqual(long, []);
});

for (const name of ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]) {
  test(`every relative link in ${name} leads somewhere`, () => {
    const markdown = readFileSync(join(root, name), "utf8");
    assert.deepEqual(
      deadLinks(markdown, (path) => existsSync(join(root, path))),
      [],
    );
  });
}

// --- the checker itself

function given(files: Record<string, string>): Sources {
  return new Map(Object.entries(files));
}

const DOOR = { "src/daemon/relay/index.ts": "", "src/daemon/chain/index.ts": "", "src/daemon/upstream/index.ts": "" };

test("the checker reads every form of import", () => {
  const source = `
import fs from "node:fs";
import type { A } from "./a.ts";
import { type B, type C } from "./b.ts";
import { type D, e } from "./d.ts";
import * as f from './f.ts';
import g, { h } from "./g.ts";
export { i } from "./i.ts";
export type * from "./j.ts";
export * from "./k.ts";
import "./l.ts";
const m = await import("./m.ts");
type N = typeof import("./n.ts");
new Worker(new URL("./o.ts", import.meta.url));
import {
  p,
  type Q,
} from "./p.ts";
// import { no } from "./no1.ts";
/* import { no } from "./no2.ts"; */
const s = 1 / 2; const r = /["'\`]/.test("x"); const t = \`\${"}"} import("./\${m}") \`;
import { u } from "./u.ts";
`;
  const found = importsOf("src/x.ts", source).map(
    ({ specifier, typeOnly }) => `${specifier}${typeOnly ? " type" : ""}`,
  );
  const expected =
    "node:fs,./a.ts type,./b.ts type,./d.ts,./f.ts,./g.ts,./i.ts,./j.ts type,./k.ts,./l.ts,./m.ts,./n.ts type,./o.ts,./p.ts,./u.ts";
  assert.deepEqual(found.sort(), expected.split(",").sort());
});

test("the checker tells code from words about code", () => {
  const source = 'const a = "Date.now()"; // Date.now()\nconst b = `x ${Date.now()} Date.now()`; /Date.now/;';
  const code = bare(source, { strings: false });
  assert.equal(code.length, source.length);
  assert.equal(code.match(/Date\.now/g)?.length, 1);
});

test("the checker knows the rooms", () => {
  assert.equal(roomOf("src/shared/tier.ts"), "shared");
  assert.equal(roomOf("src/daemon/relay/hub.ts"), "relay");
  assert.equal(roomOf("src/daemon/pipeline.ts"), "daemon");
  assert.equal(roomOf("src/daemon/main.ts"), "main");
  assert.equal(roomOf("src/monitor/main.ts"), "monitor");
});

test("the checker sees an import that goes up, also of a type", () => {
  const up = given({ ...DOOR, "src/daemon/relay/hub.ts": 'import type { X } from "../upstream/index.ts";' });
  assert.match(floorViolations(up).join(), /relay, floor 1\) imports .*upstream, floor 2/);
});

test("the checker sees an import that goes sideways", () => {
  const sideways = given({ ...DOOR, "src/daemon/relay/hub.ts": 'const x = await import("../chain/index.ts");' });
  assert.equal(floorViolations(sideways).length, 1);
});

test("the checker sees a room that is in no table, and a way out of src", () => {
  assert.match(floorViolations(given({ "src/daemon/attic/box.ts": "" })).join(), /attic/);
  assert.match(floorViolations(given({ "src/shared/a.ts": 'import "../../test/x.ts";' })).join(), /outside src/);
});

test("the checker sees who climbs in past the door, and who uses the own one", () => {
  const inside = { "src/daemon/relay/hub.ts": "" };
  const past = given({ ...DOOR, ...inside, "src/daemon/daemon.ts": 'import { Hub } from "./relay/hub.ts";' });
  assert.match(doorViolations(past).join(), /past the door of relay/);
  const own = given({ ...DOOR, "src/daemon/relay/hub.ts": 'import { x } from "./index.ts";' });
  assert.match(doorViolations(own).join(), /door of its own room/);
  const missing = given({ "src/daemon/relay/hub.ts": 'import { x } from "./gone.ts";' });
  assert.match(doorViolations(missing).join(), /no such file/);
});

test("the checker sees a cycle over three files", () => {
  const ring = given({
    "src/shared/a.ts": 'import { b } from "./b.ts";',
    "src/shared/b.ts": 'import type { C } from "./c.ts";',
    "src/shared/c.ts": 'export { a } from "./a.ts";',
  });
  assert.deepEqual(cycles(ring), ["src/shared/a.ts → src/shared/b.ts → src/shared/c.ts → src/shared/a.ts"]);
});

test("the checker sees the edge reach into floor 2, and lets types through", () => {
  const values = given({ "src/daemon/server/x.ts": 'import { type A, b } from "../upstream/index.ts";' });
  assert.equal(narrowViolations(values).length, 1);
  const types = given({ "src/daemon/server/x.ts": 'import { type A } from "../upstream/index.ts";' });
  assert.equal(narrowViolations(types).length, 0);
  const companion = given({ "src/chaos/x.ts": 'import type { A } from "../daemon/relay/index.ts";' });
  assert.equal(narrowViolations(companion).length, 1);
});

test("the checker sees each impurity, and not its namesakes", () => {
  const bad = [
    "const t = Date.now();",
    "const t = new Date();",
    "performance.now();",
    "Math.random();",
    "randomBytes(4);",
    "process.nextTick(f);",
    "console.log(1);",
    "setTimeout(f, 1);",
    'import { connect } from "node:net";',
    'import { WebSocket } from "ws";',
  ];
  for (const line of bad) assert.equal(impurities(given({ "src/daemon/relay/x.ts": line })).length, 1, line);
  const good = [
    "clock.now();",
    "const d = new Date(ms);",
    "this.process(x);",
    "options.random();",
    "// Date.now()",
    'f("console.log");',
  ];
  for (const line of good) assert.deepEqual(impurities(given({ "src/daemon/relay/x.ts": line })), [], line);
  assert.deepEqual(impurities(given({ "src/daemon/chain/x.ts": 'import { hash } from "node:crypto";' })), []);
  assert.deepEqual(impurities(given({ "src/daemon/upstream/x.ts": "Date.now();" })), []);
});

test("the checker sees a package that came by luck", () => {
  const source = 'import "@scope/a/b.js"; import "c/d"; import "node:fs"; import "./e.ts";';
  assert.equal(undeclared(given({ "src/shared/x.ts": source }), ["@scope/a"]).length, 1);
});

test("the checker sees names that say nothing", () => {
  for (const path of [
    "src/shared/util.ts",
    "src/daemon/helpers/x.ts",
    "src/shared/block-utils.ts",
    "src/shared/common.ts",
  ]) {
    assert.equal(emptyNames(given({ [path]: "" })).length, 1, path);
  }
  assert.equal(emptyNames(given({ "src/shared/x.ts": "class ConnectionManager {}" })).length, 1);
  assert.deepEqual(emptyNames(given({ "src/shared/base58.ts": "const commonAncestor = 1; // manager" })), []);
});

test("the checker sees a dead link", () => {
  const exists = (path: string): boolean => path === "LICENSE";
  assert.deepEqual(deadLinks("[a](LICENSE) [b](gone.md#x) [c](https://x.y) [d](#e) `[f](no)`", exists), ["gone.md#x"]);
});
