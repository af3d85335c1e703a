/** The networks of the Solana family. */
import { failure } from "./failure.ts";

export interface SvmParams {
  readonly chain: "solana";
  readonly network: string;
  /** Hash of the genesis configuration, where proof of history begins; null where each start makes its own. */
  readonly genesisHash: string | null;
  readonly ticksPerSlot: number;
  /** Every tick takes as many hashes as the others of its block; test validators tick by the clock. */
  readonly evenTicks: boolean;
  readonly rpcPort: number;
  readonly blockTimeSeconds: number;
  /** MAX_LOCKOUT_HISTORY of the vote program, 31 votes, and the block itself. Counts only where no upstream tells what is rooted. */
  readonly finalityDepth: number;
  /** How far below the newest confirmed slot a chain is taken up. */
  readonly historySlots: number;
}

/** Genesis hashes: `getGenesisHash` of the public networks, docs.anza.xyz/clusters/available. */
const SVM_NETWORKS: readonly SvmParams[] = (
  [
    ["mainnet", "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"],
    ["testnet", "4uhcVJyU9pJkvQyS88uRDiswHXSCkY3zQawwpjk2NsNY"],
    ["devnet", "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG"],
    ["localnet", null],
  ] as const
).map(([network, genesisHash]) => ({
  chain: "solana",
  network,
  genesisHash,
  ticksPerSlot: 64,
  evenTicks: genesisHash !== null,
  rpcPort: 8899,
  blockTimeSeconds: 0.4,
  finalityDepth: 32,
  historySlots: 64,
}));

/** Throws SPRINT_CHAIN_UNKNOWN_NETWORK for a network that is in no row. */
export function svmParams(network: string): SvmParams {
  const params = SVM_NETWORKS.find((row) => row.network === network);
  if (params !== undefined) return params;
  const known = SVM_NETWORKS.map((row) => row.network);
  throw failure("SPRINT_CHAIN_UNKNOWN_NETWORK", "network of solana", `one of ${known.join(", ")}`, network, {
    expected: known,
  });
}

export function svmNetworks(): readonly SvmParams[] {
  return SVM_NETWORKS;
}
