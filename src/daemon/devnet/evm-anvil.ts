/** The real `anvil` as the Ethereum node of a devnet: its life, and the transactions that give it something to put into blocks. */
import type { Cancel, Clock, Random } from "../../shared/clock.ts";
import { SprintError } from "../../shared/errors.ts";
import {
  EVM_DEVNET_CHAIN_ID,
  EVM_DEVNET_DEFAULTS,
  type EvmDevnetNode,
  type EvmDevnetOptions,
  demand,
  notStarted,
} from "./evm-node.ts";
import { type AnvilProcess, startAnvilProcess } from "./evm-process.ts";
import { TOKEN_INIT_CODE, TOKEN_SUPPLY, transferCall } from "./evm-token.ts";

export interface EvmAnvilOptions extends EvmDevnetOptions {
  /** As `findAnvil` tells. */
  readonly binary: string;
  readonly hardfork: string;
}

export interface EvmAnvilModules {
  readonly clock: Clock;
  readonly random: Random;
  /** It ended and nobody asked it to. */
  readonly onEnded?: (error: SprintError) => void;
}

const START_TIMEOUT_MS = 15_000;
const CALL_TIMEOUT_MS = 5_000;
const GAS_LIMIT = 1_000_000;
/** As many states as a pruned node keeps. */
const KEEP_STATES = 128;
/** Between two blocks transactions come in so many parts. */
const PARTS = 4;
const MAX_FORK = 2;
const MAX_BRANCH = 100;
const FEES = { maxFeePerGas: "0x746a528800", maxPriorityFeePerGas: "0x3b9aca00" };
const TOKEN_GAS = "0x15f90";
const DEPLOY_GAS = "0x40000";

interface Head {
  readonly hash: string;
  readonly number: string;
  readonly baseFeePerGas: string;
}

interface FullBlock {
  readonly transactions: readonly Readonly<Record<string, string>>[];
}

export class EvmAnvilNode implements EvmDevnetNode {
  readonly kind = "anvil";
  readonly #options: EvmAnvilOptions;
  readonly #modules: EvmAnvilModules;
  #anvil: AnvilProcess | null = null;
  /** Between `start` and `close`, whatever has come of it. */
  #isWanted = false;
  #port: number;
  #accounts: readonly string[] = [];
  #token = "";
  #cancelTimer: Cancel = () => {};
  /** Orders and traffic come one after the other. */
  #lastTurn: Promise<unknown> = Promise.resolve();

  constructor(options: Partial<EvmAnvilOptions> & Pick<EvmAnvilOptions, "binary">, modules: EvmAnvilModules) {
    this.#options = { ...EVM_DEVNET_DEFAULTS, hardfork: "prague", ...options };
    this.#modules = modules;
    this.#port = this.#options.port;
  }

  /** Rejects with SPRINT_DEVNET_ANVIL where it does not start, or not in time. */
  async start(): Promise<void> {
    if (this.#isWanted) return;
    this.#isWanted = true;
    const { binary, host } = this.#options;
    const starting = startAnvilProcess({
      binary,
      host,
      port: this.#port,
      args: this.#args(),
      startTimeoutMs: START_TIMEOUT_MS,
      callTimeoutMs: CALL_TIMEOUT_MS,
    });
    const anvil = await starting.catch((error: unknown) => {
      this.#isWanted = false;
      throw error;
    });
    // Closed in the meantime.
    if (!this.#isWanted) return anvil.stop(0);
    this.#anvil = anvil;
    this.#port = anvil.port;
    void anvil.ended.then(() => this.#hasEnded(anvil));
    try {
      await this.#inTurn(() => this.#mineHistory());
    } catch (error) {
      await this.close();
      throw error;
    }
    this.#schedule(0, 0);
  }

  async close(): Promise<void> {
    const anvil = this.#anvil;
    this.#isWanted = false;
    this.#anvil = null;
    this.#cancelTimer();
    await anvil?.stop(0);
  }

  get url(): string {
    return `ws://${this.#options.host}:${this.#port}`;
  }

  /** Of the process; 0 while it does not run. */
  get pid(): number {
    return this.#anvil?.pid ?? 0;
  }

  /** Of the contract whose transfers are logged. */
  get token(): string {
    return this.#token;
  }

  mine(count = 1): Promise<string[]> {
    return this.#inTurn(async () => {
      const before = Number((await this.#head()).number);
      for (let left = count; left > 0; left--) {
        await this.#send(await this.#wanted());
        await this.#call("anvil_mine", ["0x1"]);
      }
      return this.#hashes(before + 1);
    });
  }

  /** Of `length` less than `depth` it makes `depth`. */
  reorg(depth: number, length = depth): Promise<string[]> {
    return this.#inTurn(async () => {
      const height = Number((await this.#head()).number);
      if (depth < 1 || depth > Math.min(height, MAX_BRANCH)) throw badDepth(depth);
      await this.#branch(depth);
      if (length > depth) await this.#call("anvil_mine", [`0x${(length - depth).toString(16)}`]);
      return this.#hashes(height - depth + 1);
    });
  }

  rollback(depth: number): Promise<void> {
    return this.#inTurn(async () => {
      await this.#call("anvil_rollback", [depth]);
    });
  }

  freeze(): void {
    this.#anvil?.signal("SIGSTOP");
  }

  thaw(): void {
    this.#anvil?.signal("SIGCONT");
  }

  hashes(from = 0): Promise<string[]> {
    return this.#inTurn(() => this.#hashes(from));
  }

  #args(): string[] {
    const { blockIntervalMs, keepBlocks, hardfork } = this.#options;
    const genesis = Math.floor(this.#modules.clock.wall() / 1_000) - this.#historySeconds();
    return [
      ...(blockIntervalMs === null ? ["--no-mining"] : ["--block-time", String(blockIntervalMs / 1_000)]),
      `--chain-id=${EVM_DEVNET_CHAIN_ID}`,
      `--hardfork=${hardfork}`,
      `--timestamp=${genesis}`,
      // A small market, whose price the traffic moves.
      `--gas-limit=${GAS_LIMIT}`,
      "--slots-in-an-epoch=4",
      `--prune-history=${KEEP_STATES}`,
      // A block whose transactions are gone is served as an empty one, so there must be more of them than anybody asks for.
      `--transaction-block-keeper=${keepBlocks}`,
    ];
  }

  /** Deploys the token, gives everybody some, and comes up to today in as many blocks as were asked for. */
  async #mineHistory(): Promise<void> {
    this.#accounts = await this.#call<string[]>("eth_accounts");
    const [from = ""] = this.#accounts;
    const made = await this.#transact({ from, data: TOKEN_INIT_CODE, gas: DEPLOY_GAS });
    const step = `0x${this.#stepSeconds().toString(16)}`;
    await this.#call("anvil_mine", ["0x1", step]);
    const receipt = await this.#call<{ readonly contractAddress: string }>("eth_getTransactionReceipt", [made]);
    this.#token = receipt.contractAddress;
    const share = TOKEN_SUPPLY / BigInt(this.#accounts.length);
    for (const to of this.#accounts.slice(1))
      await this.#transact({ from, to: this.#token, data: transferCall(to, share), gas: TOKEN_GAS });
    for (let left = Math.max(1, this.#options.historyBlocks - 1); left > 0; left--) {
      await this.#call("anvil_mine", ["0x1", step]);
      await this.#send(await this.#wanted());
    }
  }

  /** Replaces the newest `depth` blocks by others with the same transactions: left to itself anvil would forget them. */
  async #branch(depth: number): Promise<void> {
    const height = Number((await this.#head()).number);
    const pairs: [object, number][] = [];
    for (let i = 0; i < depth; i++) {
      const number = `0x${(height - depth + 1 + i).toString(16)}`;
      const { transactions } = await this.#call<FullBlock>("eth_getBlockByNumber", [number, true]);
      for (const { from, to, value, input, nonce, gas, maxFeePerGas, maxPriorityFeePerGas } of transactions) {
        const fees = { gas, maxFeePerGas, maxPriorityFeePerGas };
        pairs.push([{ from, to, value, data: input, nonce, ...fees }, i]);
      }
    }
    await this.#call("anvil_reorg", [depth, pairs]);
  }

  /** `wanted` transactions come until the next block; a part of them now. */
  #schedule(part: number, wanted: number): void {
    const { blockIntervalMs, forkChance } = this.#options;
    if (blockIntervalMs === null || this.#anvil === null) return;
    const { clock, random } = this.#modules;
    this.#cancelTimer = clock.after(blockIntervalMs / PARTS, () => {
      const turn = this.#inTurn(async () => {
        const count = part === 0 ? await this.#wanted() : wanted;
        await this.#send(Math.round(count / PARTS));
        if (part === 0 && random() < forkChance) await this.#branch(1 + Math.floor(random() * MAX_FORK));
        return count;
      });
      // What fails here (it is frozen, or has ended) is tried again with the next part.
      turn.then(
        (count) => this.#schedule((part + 1) % PARTS, count),
        () => this.#schedule(part, wanted),
      );
    });
  }

  async #wanted(): Promise<number> {
    const { baseFeePerGas } = await this.#head();
    return demand(this.#options.transactionsPerBlock, BigInt(baseFeePerGas), this.#modules.random());
  }

  async #send(count: number): Promise<void> {
    const { random } = this.#modules;
    const anybody = (): string => this.#accounts[Math.floor(random() * this.#accounts.length)] as string;
    for (let left = count; left > 0; left--) {
      const [from, to, amount] = [anybody(), anybody(), 1n + BigInt(Math.floor(random() * 1e15))];
      const isPayment = random() < 0.5;
      if (isPayment) await this.#transact({ from, to, value: `0x${amount.toString(16)}`, gas: "0x5208" });
      else await this.#transact({ from, to: this.#token, data: transferCall(to, amount), gas: TOKEN_GAS });
    }
  }

  #transact(transaction: Readonly<Record<string, string>>): Promise<string> {
    return this.#call("eth_sendTransaction", [{ ...transaction, ...FEES }]);
  }

  #head(): Promise<Head> {
    return this.#call("eth_getBlockByNumber", ["latest", false]);
  }

  async #hashes(from: number): Promise<string[]> {
    const tip = Number((await this.#head()).number);
    const hashes: string[] = [];
    for (let number = from; number <= tip; number++) {
      const block = await this.#call<Head | null>("eth_getBlockByNumber", [`0x${number.toString(16)}`, false]);
      if (block !== null) hashes.push(block.hash);
    }
    return hashes;
  }

  #call<T>(method: string, params: readonly unknown[] = []): Promise<T> {
    const anvil = this.#anvil;
    return anvil === null ? Promise.reject(notStarted()) : anvil.call<T>(method, params);
  }

  #hasEnded(anvil: AnvilProcess): void {
    if (this.#anvil !== anvil) return;
    this.#isWanted = false;
    this.#anvil = null;
    this.#cancelTimer();
    const message = `The ethereum devnet node: expected anvil (process ${anvil.pid}) to run until the daemon closes it, but it ended. Start again.`;
    this.#modules.onEnded?.(new SprintError("SPRINT_DEVNET_ANVIL", message, { pid: anvil.pid }));
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(task);
    this.#lastTurn = turn.catch(() => {});
    return turn;
  }

  #stepSeconds(): number {
    return Math.max(1, Math.round((this.#options.blockIntervalMs ?? 1_000) / 1_000));
  }

  #historySeconds(): number {
    return this.#options.historyBlocks * this.#stepSeconds();
  }
}

function badDepth(depth: number): SprintError {
  return new SprintError(
    "SPRINT_DEVNET_FORK",
    `Expected a depth from 1 to ${MAX_BRANCH} above genesis, got ${depth}.`,
    { depth, maxDepth: MAX_BRANCH },
  );
}
