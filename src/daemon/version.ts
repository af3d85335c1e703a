import { readFileSync } from "node:fs";

/** Of the package; the file stands at the same distance from src/daemon and from dist/daemon. */
export const VERSION: string = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")).version;
