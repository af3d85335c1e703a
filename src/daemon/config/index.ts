/** The door of the configuration: read, compared, explained, read again while the daemon runs. No room below reads it. */
export type { ChainConfig } from "./chains.ts";
export { diffConfig, diffDocuments } from "./diff.ts";
export { type ExplainedKey, explainConfig } from "./explain.ts";
export { type Config, type ConfigFlags, type ConfigSources, dumpConfig, loadConfig } from "./load.ts";
export { type Reloadable, reloadable } from "./reload.ts";
