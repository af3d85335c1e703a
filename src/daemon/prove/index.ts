/** The door of this room: body validation off the relaying thread. */
export { Prover, PROVER_DEFAULTS, type ProverModules, type ProverOptions } from "./prover.ts";
export type { ProofSubject } from "./types.ts";
export { importSource, type ModuleSource } from "./module.ts";
