/**
 * A module by its source as it was read once: in every thread the same, whatever has become of its file since. What it imports is looked for from where its file
 * stands, and loaded as it is then.
 */
import { registerHooks } from "node:module";

/** A plug-in's module. Plain data: it crosses threads. */
export interface ModuleSource {
  /** file:// with a query that names the version. */
  readonly url: string;
  readonly source: string;
}

const sources = new Map<string, string>();
let isHooked = false;

/** Rejects with what the module throws, and where its source is none. */
export async function importSource({ url, source }: ModuleSource): Promise<unknown> {
  if (!isHooked) {
    registerHooks({
      load(asked, context, nextLoad) {
        const known = sources.get(asked);
        if (known === undefined) return nextLoad(asked, context);
        const format = /\.m?ts(\?|$)/.test(asked) ? "module-typescript" : "module";
        return { format, source: known, shortCircuit: true };
      },
    });
    isHooked = true;
  }
  sources.set(url, source);
  try {
    return await import(url);
  } finally {
    sources.delete(url);
  }
}
