/** What `npm ci` on a clean clone stands on. */
import test from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

interface Entry {
  readonly version?: string;
  readonly resolved?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`../../${name}`, import.meta.url), "utf8"));
const { packages } = read("package-lock.json") as { readonly packages: Readonly<Record<string, Entry>> };

/** Where Node would look for `name` from the package at `path`: its own node_modules, then those above. */
function isLocked(path: string, name: string): boolean {
  for (let at = path; ; at = at.slice(0, Math.max(0, at.lastIndexOf("/node_modules/")))) {
    if (`${at === "" ? "" : `${at}/`}node_modules/${name}` in packages) return true;
    if (at === "") return false;
    if (!at.includes("/node_modules/")) return `node_modules/${name}` in packages;
  }
}

test("every dependency that the lock file names is in it, those of other platforms too", () => {
  const missing = Object.entries(packages).flatMap(([path, entry]) =>
    Object.keys({ ...entry.dependencies, ...entry.devDependencies, ...entry.optionalDependencies })
      .filter((name) => !isLocked(path, name))
      .map((name) => `${path === "" ? "package.json" : path} → ${name}`),
  );
  assert.deepEqual(missing, []);
});

test("the lock file says what package.json says, in exact versions, and names no registry", () => {
  const manifest = read("package.json") as Required<Entry>;
  for (const kind of ["dependencies", "devDependencies", "optionalDependencies"] as const) {
    assert.deepEqual(packages[""]?.[kind], manifest[kind]);
    for (const [name, version] of Object.entries(manifest[kind])) assert.match(version, /^\d+\.\d+\.\d+$/, name);
  }
  assert.deepEqual(
    Object.keys(packages).filter((path) => packages[path]?.resolved !== undefined),
    [],
  );
});
