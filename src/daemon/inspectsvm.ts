/** `sprint inspect --chain solana`: blocks as `getBlock` gives them, one JSON line each. */
import { type InspectModules, writeLines } from "./inspect.ts";

export interface InspectSvmOptions {
  readonly network: string;
  readonly level: "header" | "full";
  readonly files: readonly string[];
}

export async function inspectSvm(options: InspectSvmOptions, modules: Partial<InspectModules> = {}): Promise<number> {
  return writeLines(options.files, 0, async function* () {}, modules);
}
