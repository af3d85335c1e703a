/** Real chain data for tests: `SPRINT_CHAIN_DATA`, else `../shared/data` beside the repository. Tests skip by name where it is absent. */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";

const ROOT = path.resolve(import.meta.dirname, "..", "..", process.env["SPRINT_CHAIN_DATA"] ?? "../shared/data");

/** True where the data folder is there; use as `{ skip: !hasData && "no chain data" }`. */
export const hasData: boolean = existsSync(path.join(ROOT, "bitcoin"));

/** Absolute path of a file of the data folder, e.g. `bitcoin/blocks/200000.raw`. */
export function dataPath(rel: string): string {
  return path.join(ROOT, rel);
}

/** The bytes of a data file; `.gz` files come unpacked. */
export function readData(rel: string): Buffer {
  const bytes = readFileSync(dataPath(rel));
  return rel.endsWith(".gz") ? gunzipSync(bytes) : bytes;
}
