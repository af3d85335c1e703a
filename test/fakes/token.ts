/** A contract on an anvil whose every call makes a log, and many calls at once. */
import { TOKEN_INIT_CODE, TRANSFER_TOPIC, transferCall, word } from "../../src/daemon/devnet/evm-token.ts";
import type { Anvil } from "./anvil.ts";

export { TRANSFER_TOPIC };
export const TRANSFER_ABI = "event Transfer(address indexed from, address indexed to, uint256 value)";

export interface Token {
  readonly address: string;
  /** Whose tokens they are. */
  readonly owner: string;
  /** Accounts that are paid, in turn. */
  readonly receivers: readonly string[];
  /** Puts `count` transfers into the node's pool. */
  transfer(count: number): Promise<void>;
  /** Replaces the newest `depth` blocks, with a transfer in every other one of the new. */
  reorg(depth: number): Promise<void>;
}

const GAS = "0x15f90";
const DEPLOY_GAS = "0x40000";
/** Enough at every base fee that a test comes to. */
const FEES = { maxFeePerGas: "0x746a528800", maxPriorityFeePerGas: "0x3b9aca00" };

/** Deploys it, in a block of its own. */
export async function deployToken(anvil: Anvil): Promise<Token> {
  const [owner = "", ...receivers] = await anvil.rpc<string[]>("eth_accounts");
  const hash = await anvil.rpc("eth_sendTransaction", [
    { from: owner, data: TOKEN_INIT_CODE, gas: DEPLOY_GAS, ...FEES },
  ]);
  await anvil.rpc("anvil_mine", ["0x1"]);
  const receipt = await anvil.rpc<{ contractAddress: string }>("eth_getTransactionReceipt", [hash]);
  const address = receipt.contractAddress.toLowerCase();
  let sent = 0;
  const next = (): Record<string, string> => {
    const to = receivers[sent++ % receivers.length] as string;
    return { from: owner, to: address, data: transferCall(to, BigInt(sent)), gas: GAS, ...FEES };
  };
  return {
    address,
    owner,
    receivers,
    async transfer(count) {
      for (let left = count; left > 0; left--) await anvil.rpc("eth_sendTransaction", [next()]);
    },
    async reorg(depth) {
      const places = Array.from({ length: depth }, (_, i) => i).filter((i) => i % 2 === 0);
      await anvil.rpc("anvil_reorg", [depth, places.map((i) => [next(), i])]);
    },
  };
}

/** An address as a topic. */
export function topicOf(address: string): string {
  return `0x${word(address)}`;
}
