/** The door of `sprint inspect`: blocks and headers from files, one verdict a line, for each family of chains. */
export { type InspectEvmModules, type InspectEvmOptions, inspectEvm } from "./evm.ts";
export { type InspectModules, type Inspection, readInput } from "./files.ts";
export { type InspectSvmOptions, inspectSvm } from "./svm.ts";
export { type InspectOptions, inspect } from "./utxo.ts";
