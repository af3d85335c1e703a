/**
 * An embedded Solana validator: it makes slots, and serves what it made over JSON-RPC and its subscriptions. The relay meets it as it
 * meets any node. Tests give it orders; nothing else tells it from the one that a bare `sprint start` runs.
 */
import type { Cancel, Clock, Random } from "../../shared/clock.ts";
import { SprintError, messageOf } from "../../shared/errors.ts";
import { decodeBase58 } from "../chain/index.ts";
import { type SvmBank, ancestor, entriesOf } from "./svm-bank.ts";
import { SvmLedger, type SvmLedgerOptions, type SvmSlotEvent, SVM_LEDGER_DEFAULTS } from "./svm-ledger.ts";
import { type SvmLie, SvmView } from "./svm-lies.ts";
import { callSvmMethod } from "./svm-methods.ts";
import { answerSvmRequest } from "./svm-request.ts";
import { SvmServer } from "./svm-server.ts";
import { SvmSockets } from "./svm-sockets.ts";
import { blockView } from "./svm-views.ts";

export interface SvmDevnetNodeOptions extends SvmLedgerOptions {
  /** Time between slots; null: they come on orders only. */
  readonly slotMs: number | null;
  /** Chances, 0 to 1, that a turn is a skipped slot, a fork of depth 1 or 2, a block beside the chain, or a dead slot. */
  readonly skipChance: number;
  readonly forkChance: number;
  readonly deadChance: number;
  /** Slots made before the node listens, dated back. */
  readonly historySlots: number;
  /** Off on public nodes; a real one has a flag for each. */
  readonly blockSubscribe: boolean;
  readonly voteSubscribe: boolean;
  /** What is older than the ledger is refused as by a node that has asked a longer-lived store (-32009, else -32001). */
  readonly longTermStorage: boolean;
  readonly host: string;
  /** 0: any free port; after a close the node comes back on the one that it had. */
  readonly port: number;
  readonly maxConnections: number;
  /** A socket's. */
  readonly maxSubscriptions: number;
  /** One who leaves more of what it is told unread is hung up on. Orders that make many slots in one turn write all of it at once. */
  readonly maxUnreadBytes: number;
}

export const SVM_DEVNET_NODE_DEFAULTS: SvmDevnetNodeOptions = {
  ...SVM_LEDGER_DEFAULTS,
  slotMs: 400,
  skipChance: 0.05,
  forkChance: 0.02,
  deadChance: 0.01,
  historySlots: 40,
  blockSubscribe: true,
  voteSubscribe: true,
  longTermStorage: false,
  host: "127.0.0.1",
  port: 0,
  maxConnections: 64,
  maxSubscriptions: 100,
  maxUnreadBytes: 67_108_864,
};

export interface SvmDevnetNodeModules {
  readonly clock: Clock;
  readonly random: Random;
  /** Another node's `ledger`: both serve one chain, so that they race. Options of the ledger are those of that node. */
  readonly ledger?: SvmLedger;
  readonly onBlock?: (block: { readonly hash: string; readonly height: number; readonly slot: number }) => void;
}

export interface SvmSlotRef {
  readonly slot: number;
  readonly parentSlot: number;
  readonly height: number;
  readonly hash: string;
}

/** More would put a block's ticks beyond what a leader makes up for. */
const MAX_SKIP = 64;
const MAX_HELD_EVENTS = 512;
const DEFAULT_SLOT_MS = 400;
const MAX_METHODS_COUNTED = 64;

export class SvmDevnetNode {
  readonly chain = "solana";
  readonly ledger: SvmLedger;
  readonly #options: SvmDevnetNodeOptions;
  readonly #modules: SvmDevnetNodeModules;
  readonly #view: SvmView;
  readonly #server: SvmServer;
  readonly #sockets: SvmSockets;
  readonly #calls = new Map<string, number>();
  #port: number;
  #listening = false;
  #stopListening: Cancel = () => {};
  #cancelSlot: Cancel = () => {};
  #frozen = false;
  #held: SvmSlotEvent[] = [];

  constructor(options: Partial<SvmDevnetNodeOptions>, modules: SvmDevnetNodeModules) {
    this.#options = { ...SVM_DEVNET_NODE_DEFAULTS, ...options };
    this.#modules = modules;
    const { clock, random } = modules;
    this.ledger =
      modules.ledger ?? new SvmLedger(this.#options, { random, time: this.#now() - this.#historySeconds() });
    this.#port = this.#options.port;
    this.#view = new SvmView(this.ledger);
    const { blockSubscribe, voteSubscribe, longTermStorage } = this.#options;
    this.#sockets = new SvmSockets(this.#options, {
      view: this.#view,
      wallMs: () => clock.wall(),
      blockSubscribe,
      voteSubscribe,
    });
    this.#server = new SvmServer(this.#options, {
      answer: (body) =>
        answerSvmRequest(body, (method, params) => {
          this.#count(method);
          return callSvmMethod(method, params, { view: this.#view, longTermStorage });
        }),
      onSocket: (socket) => this.#sockets.add(socket),
    });
  }

  /** Makes the history where there is none, and listens. */
  async start(): Promise<void> {
    if (this.#listening) return;
    this.#listening = true;
    if (this.#tip.slot === 0) this.#makeHistory();
    try {
      this.#port = await this.#server.listen(this.#options.host, this.#port);
    } catch (error) {
      this.#listening = false;
      throw cannotListen(this.#options.host, this.#port, error);
    }
    // Closed in the meantime.
    if (!this.#listening) return;
    this.#stopListening = this.ledger.onEvent((event) => this.#happened(event));
    this.#scheduleSlot();
  }

  /** Hangs up on everybody and frees the port. The ledger stays: `start` goes on with it, at the same address. */
  async close(): Promise<void> {
    if (!this.#listening) return;
    this.#listening = false;
    this.#cancelSlot();
    this.#stopListening();
    this.#held = [];
    this.#frozen = false;
    this.#sockets.hangUp();
    this.#sockets.thaw();
    await this.#server.close();
  }

  /** 0 before the first start where any port was asked for. */
  get port(): number {
    return this.#port;
  }

  /** As `--chain solana=URL` takes it; HTTP answers at the same port. */
  get url(): string {
    return `ws://${this.#options.host}:${this.#port}`;
  }

  get httpUrl(): string {
    return `http://${this.#options.host}:${this.#port}`;
  }

  get genesisHash(): string {
    return this.ledger.genesisHash;
  }

  get tip(): SvmSlotRef {
    return refOf(this.#tip);
  }

  get confirmed(): SvmSlotRef {
    return refOf(this.ledger.get("confirmed"));
  }

  get root(): SvmSlotRef {
    return refOf(this.ledger.get("finalized"));
  }

  /** The truth to compare a stream with: the chain of the newest block, oldest first, as far as it is kept. */
  get blocks(): SvmSlotRef[] {
    const refs: SvmSlotRef[] = [];
    for (let at: SvmBank | null = this.#tip; at !== null; at = at.parent) refs.push(refOf(at));
    return refs.reverse();
  }

  /** What came in: sockets open now, subscriptions and HTTP calls by method since the node was made. */
  get seen(): {
    readonly sockets: number;
    readonly subscriptions: Readonly<Record<string, number>>;
    readonly calls: Readonly<Record<string, number>>;
  } {
    const calls = Object.fromEntries(this.#calls);
    return { sockets: this.#sockets.size, subscriptions: this.#sockets.subscribed, calls };
  }

  /** Slots with a block each, on the newest one; oldest first. */
  mine(slots = 1): SvmSlotRef[] {
    this.#mustRun();
    return Array.from({ length: slots }, () => refOf(this.ledger.extend(this.#tip, this.#now())));
  }

  /** Slots without a block; 1 to 64. */
  skip(slots = 1): void {
    this.#mustRun();
    if (slots < 1 || slots > MAX_SKIP) throw badOrder("slots to skip", `1 to ${MAX_SKIP}`, slots);
    this.ledger.skip(slots);
  }

  /**
   * A branch of `length` blocks on the block `depth` below the newest one, which wins at once. Deeper than the root, it is what no
   * honest node tells.
   */
  fork(
    depth: number,
    length = 1,
  ): { readonly reverted: readonly SvmSlotRef[]; readonly applied: readonly SvmSlotRef[] } {
    this.#mustRun();
    const base = ancestor(this.#tip, depth);
    if (depth < 1 || length < 1 || this.#tip.height - base.height !== depth) {
      throw badOrder(
        "depth of a fork",
        "at least 1, above the oldest block that is kept, and a length of at least 1",
        depth,
      );
    }
    const reverted: SvmSlotRef[] = [];
    for (let at = this.#tip; at !== base; at = at.parent as SvmBank) reverted.push(refOf(at));
    const first = this.ledger.extend(base, this.#now());
    return { reverted, applied: [refOf(first), ...this.mine(length - 1)] };
  }

  /** A block beside the newest one, which nobody builds on: the chain stays where it is. */
  orphan(): SvmSlotRef {
    this.#mustRun();
    return refOf(this.ledger.extend(ancestor(this.#tip, 1), this.#now(), false));
  }

  /** A slot whose block breaks off. */
  dead(): number {
    this.#mustRun();
    return this.ledger.kill();
  }

  /** A transfer to `address` (base58), in the next block; its signature. An account needs 890,880 lamports to be. */
  pay(address: string, lamports: number): string {
    this.#mustRun();
    const key = decodeBase58(address, 32);
    if (key === null) throw badOrder("address", "32 bytes of base58", address.slice(0, 64));
    return this.ledger.pay(key, lamports);
  }

  /** What is staked with the validator of that index, in lamports, and whether it goes on voting. */
  setValidator(index: number, change: { readonly stake?: number; readonly votes?: boolean }): void {
    const validator = this.ledger.validators[index];
    if (validator === undefined) throw badOrder("validator", `0 to ${this.ledger.validators.length - 1}`, index);
    validator.stake = change.stake ?? validator.stake;
    validator.votes = change.votes ?? validator.votes;
  }

  /** The truth about a slot: its block as getBlock has it in base64, with its entries. Null where there is none. */
  block(slot: number): object | null {
    const bank = this.ledger.at(slot);
    if (bank === undefined) return null;
    const form = { encoding: "base64", details: "full", rewards: true, maxVersion: 0 } as const;
    return { slot, ...blockView(bank, form), entries: entriesOf(bank) };
  }

  /** Tells it from now on, beside others; `on: false` ends it. Other nodes of the same ledger stay honest. */
  lie(lie: SvmLie, on = true): void {
    this.#view.tell(lie, on);
  }

  /** Keeps every socket open and takes new ones, and says and reads nothing until `thaw`. */
  freeze(): void {
    this.#frozen = true;
    this.#server.freeze();
    this.#sockets.freeze();
  }

  /** Answers what was asked, and tells what happened in the meantime, of the last of it at least. */
  thaw(): void {
    this.#frozen = false;
    this.#server.thaw();
    this.#sockets.thaw();
    for (const event of this.#held.splice(0)) this.#sockets.tell(event);
  }

  /** Hangs up on all subscribers; they may call again. */
  disconnect(): void {
    this.#sockets.hangUp();
  }

  get #tip(): SvmBank {
    return this.ledger.get("processed");
  }

  #happened(event: SvmSlotEvent): void {
    if (event.type === "frozen" && event.bank === this.#tip) this.#modules.onBlock?.(refOf(event.bank));
    if (!this.#frozen) return this.#sockets.tell(event);
    this.#held.push(event);
    if (this.#held.length > MAX_HELD_EVENTS) this.#held.shift();
  }

  #scheduleSlot(): void {
    const { slotMs } = this.#options;
    if (slotMs === null || !this.#listening) return;
    this.#cancelSlot = this.#modules.clock.after(slotMs, () => {
      this.#turn();
      this.#scheduleSlot();
    });
  }

  /** What each slot of its own comes to. */
  #turn(): void {
    const { skipChance, forkChance, deadChance, rootBehind } = this.#options;
    const { random } = this.#modules;
    const draw = random();
    if (draw < skipChance) return this.skip();
    if (draw < skipChance + deadChance) return void this.dead();
    if (draw >= skipChance + deadChance + forkChance || this.#tip.height <= rootBehind) return void this.mine();
    if (random() < 1 / 3) return void this.orphan();
    this.fork(1 + Math.floor(random() * Math.min(2, this.ledger.options.confirmedBehind)));
  }

  #makeHistory(): void {
    const { historySlots, skipChance } = this.#options;
    const stepSeconds = this.#historySeconds() / Math.max(1, historySlots);
    const now = this.#now();
    for (let left = historySlots; left > 0; left--) {
      if (left > 1 && this.#modules.random() < skipChance) this.ledger.skip(1);
      else this.ledger.extend(this.#tip, Math.floor(now - left * stepSeconds));
    }
  }

  #historySeconds(): number {
    const { slotMs, historySlots } = this.#options;
    return Math.ceil((historySlots * (slotMs ?? DEFAULT_SLOT_MS)) / 1_000);
  }

  #count(method: string): void {
    const known = this.#calls.has(method) || this.#calls.size < MAX_METHODS_COUNTED;
    const name = known ? method : "other";
    this.#calls.set(name, (this.#calls.get(name) ?? 0) + 1);
  }

  #now(): number {
    return Math.floor(this.#modules.clock.wall() / 1_000);
  }

  #mustRun(): void {
    if (this.#listening) return;
    const message = "The solana devnet node is not running: expected start() before an order.";
    throw new SprintError("SPRINT_DEVNET_CLOSED", message, { chain: this.chain });
  }
}

function refOf({ slot, parentSlot, height, blockhash }: SvmBank): SvmSlotRef {
  return { slot, parentSlot, height, hash: blockhash };
}

function cannotListen(host: string, port: number, cause: unknown): SprintError {
  return new SprintError(
    "SPRINT_DEVNET_LISTEN",
    `The solana devnet node expected to listen on ${host}:${port}, got: ${messageOf(cause)}. Free that port, or use port 0.`,
    { chain: "solana", host, port },
    { cause },
  );
}

function badOrder(what: string, expected: string, actual: unknown): SprintError {
  const message = `The solana devnet node expected a ${what} of ${expected}, got ${String(actual)}.`;
  return new SprintError("SPRINT_DEVNET_ORDER", message, { what, expected, actual });
}
