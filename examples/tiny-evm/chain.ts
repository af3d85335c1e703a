/**
 * A plug-in: a small EVM chain of one's own, as a test network or an application chain is. It begins with the parameters of a built-in
 * network and says what differs. Types are all that is imported, so the file runs as it is.
 */
import type { ChainKit, ChainDefinition } from "../../src/daemon/chain/index.ts";

export default function tinyEvm({ evm }: ChainKit): ChainDefinition {
  // Rules of Ethereum since Prague, with blocks when somebody makes them: what `anvil --chain-id 4242` produces.
  const like = evm.params("ethereum", "devnet");
  return {
    api: 1,
    chain: "tiny",
    shortName: "tiny",
    networks: ["main"],
    codec: (network) => evm.codec({ ...like, chain: "tiny", network, chainId: 4242n, blockTimeSeconds: 1 }),
  };
}
