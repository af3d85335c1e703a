/** The Ethereum node of a devnet: the real `anvil` where its package is installed and runs, else the one that is embedded here. */
import { type Clock, seededRandom } from "../../shared/clock.ts";
import type { SprintError } from "../../shared/errors.ts";
import { EvmAnvilNode } from "./evm-anvil.ts";
import { EvmEmbeddedNode } from "./evm-embedded.ts";
import type { EvmDevnetNode, EvmDevnetOptions } from "./evm-node.ts";
import { findAnvil } from "./evm-process.ts";

export interface EvmDevnetModules {
  readonly clock: Clock;
  /** `anvil` is there and did not start, so that the embedded node stands in; or it ended in the middle. */
  readonly onProblem?: (error: SprintError) => void;
}

export interface EvmDevnetChoice extends Partial<EvmDevnetOptions> {
  /** The same seed gives the same transactions and forks; of `anvil` as far as its clock allows. */
  readonly seed: number;
  /** One of the two; where it is not given it is anvil where it can be. */
  readonly kind?: EvmDevnetNode["kind"];
  /** Path of anvil, null where it is not to be had; where it is not given it is looked for. */
  readonly binary?: string | null;
}

/** Resolves with a node that was started. */
export async function openEvmDevnet(options: EvmDevnetChoice, modules: EvmDevnetModules): Promise<EvmDevnetNode> {
  const { kind, seed, binary: given, ...rest } = options;
  const { clock, onProblem } = modules;
  const binary = kind === "embedded" ? null : given === undefined ? findAnvil() : given;
  if (binary !== null) {
    const ended = onProblem === undefined ? {} : { onEnded: onProblem };
    const anvil = new EvmAnvilNode({ ...rest, binary }, { clock, random: seededRandom(seed), ...ended });
    try {
      await anvil.start();
      return anvil;
    } catch (error) {
      if (kind === "anvil") throw error;
      onProblem?.(error as SprintError);
    }
  }
  const embedded = new EvmEmbeddedNode(rest, { clock, random: seededRandom(seed) });
  await embedded.start();
  return embedded;
}
