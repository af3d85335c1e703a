/** The door of `sprint inspect`: blocks and headers from files, one verdict a line, for each family of chains. */
export { type EvmInspection, type InspectEvmModules, type InspectEvmOptions, inspectEvm } from "./evm.ts";
export { type InspectModules, readInput } from "./files.ts";
export { type InspectSvmOptions, type SvmInspection, inspectSvm } from "./svm.ts";
export { type InspectOptions, type Inspection, inspect } from "./utxo.ts";
