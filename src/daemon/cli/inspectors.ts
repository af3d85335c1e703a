/** Who reads the blocks of which chain for `sprint inspect`; each is loaded when it is called. */
import { SprintError } from "../../shared/errors.ts";
import { EVM_CHAINS, type EvmChain, type UtxoChain } from "../../shared/chain.ts";

interface InspectOptions {
  /** As commander let it through: one of `CHAINS`. */
  readonly chain: string;
  readonly network: string;
  readonly level: "header" | "full";
  readonly headers: boolean;
  readonly receipts?: string;
  readonly files: readonly string[];
}
type Inspect = (options: InspectOptions, modules: { readonly write?: () => void }) => Promise<number>;

/** Chains whose blocks may have their receipts beside them. */
const EVM: Readonly<Record<string, () => Promise<Inspect>>> = Object.fromEntries(
  EVM_CHAINS.map((chain) => [chain, evm(chain)]),
);

const JSON_INSPECTORS: Readonly<Record<string, () => Promise<Inspect>>> = {
  ...EVM,
  solana: async () => (await import("../inspect/index.ts")).inspectSvm,
};

/** Throws SPRINT_CLI_RECEIPTS for receipts of a chain that has none. */
export async function inspectorOf({ chain, receipts }: Pick<InspectOptions, "chain" | "receipts">): Promise<Inspect> {
  if (receipts !== undefined && !(chain in EVM)) {
    const known = Object.keys(EVM).join(", ");
    const message = `--receipts: expected a chain that has them (${known}), got ${chain}; leave it out`;
    throw new SprintError("SPRINT_CLI_RECEIPTS", message, { actual: chain });
  }
  const json = JSON_INSPECTORS[chain];
  if (json !== undefined) return json();
  const { inspect } = await import("../inspect/index.ts");
  return (options, modules) => inspect({ ...options, chain: chain as UtxoChain }, modules);
}

function evm(chain: EvmChain): () => Promise<Inspect> {
  return async () => {
    const { inspectEvm } = await import("../inspect/index.ts");
    return (options, modules) => inspectEvm({ ...options, chain }, modules);
  };
}
