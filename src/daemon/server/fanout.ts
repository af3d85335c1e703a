/**
 * Child processes that hold subscribers' sockets when there are many: a second core for the writes, at the price of one hop.
 * This process parses and checks the handshake, looks up the backlog, and hands both with the socket to the child with the
 * fewest subscribers; from then on that child gets every event. The channel keeps order, so a backlog is always before what is
 * live. A child that dies takes its sockets with it: the clients come back with their cursors, and a new child is started.
 */
import { type ChildProcess, fork, type SendHandle } from "node:child_process";
import type { Socket } from "node:net";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Cancel, Clock } from "../../shared/clock.ts";
import { SprintError, messageOf } from "../../shared/errors.ts";
import { BASIC_TYPES, type EventType } from "../../shared/events.ts";
import type { Tier } from "../../shared/tier.ts";
import type { HubOptions, HubStats, StreamEvent } from "../relay/index.ts";
import type { ServerModules } from "./modules.ts";
import type { FanoutOptions, SocketLimits } from "./options.ts";
import type { Seat } from "./sockets.ts";

/** The program of a child, in the language that this file is in: .ts from source, .js when built. */
const PROGRAM = fileURLToPath(new URL(`./fanout-process${extname(import.meta.url)}`, import.meta.url));
/** After a child that ended before it was ready, none is started for so long. */
const RESTART_PAUSE_MS = 5_000;
const EXIT_TIMEOUT_MS = 2_000;
const MAX_IN_FLIGHT = 8;

export type ToChild =
  | {
      readonly type: "start";
      readonly clockShiftMs: number;
      readonly hub: Partial<HubOptions>;
      readonly sockets: SocketLimits;
    }
  | { readonly type: "seat"; readonly seat: Seat; readonly head: Uint8Array }
  | { readonly type: "events"; readonly events: readonly StreamEvent[] }
  | { readonly type: "adjust"; readonly tiers: HubOptions["tiers"] }
  | { readonly type: "drain" };

export type FromChild =
  | { readonly type: "ready" }
  | { readonly type: "taken"; readonly id: string }
  | { readonly type: "ended"; readonly ids: readonly string[] }
  | { readonly type: "report"; readonly stats: HubStats; readonly relayed: readonly (readonly [Tier, number])[] }
  | { readonly type: "drop"; readonly drop: Parameters<ServerModules["onDrop"]>[0] };

export interface ProcessStatus {
  readonly pid: number;
  readonly subscribers: number;
  /** What its hub counted, at most a second ago; null before the first report. */
  readonly hub: HubStats | null;
}

export interface FanoutModules {
  readonly clock: Clock;
  readonly hub: Partial<HubOptions>;
  readonly sockets: SocketLimits;
  readonly server: Pick<ServerModules, "onEvent" | "onFault" | "onRelayed" | "onDrop">;
}

const BASIC: ReadonlySet<EventType> = new Set(BASIC_TYPES);

interface Held {
  /** What it named of what is told to those only who name it. */
  readonly types: readonly EventType[];
  /** Called once, when the subscriber is gone. */
  readonly onEnd: () => void;
  /** Our own end of the socket. */
  readonly socket: Socket;
}

interface Child {
  readonly process: ChildProcess;
  readonly seats: Map<string, Held>;
  /** How many of its seats named a type: the logs of a block are megabytes, and the channel copies them. */
  readonly named: Map<EventType, number>;
  readonly exited: Promise<void>;
  isReady: boolean;
  stats: HubStats | null;
  /** Messages that the channel has not taken yet. */
  inFlight: number;
  /** Events held back while too many messages are in flight: they leave as one. */
  waiting: StreamEvent[];
}

export class Fanout {
  readonly #options: FanoutOptions;
  readonly #modules: FanoutModules;
  readonly #children = new Set<Child>();
  readonly #cancel: Cancel;
  /** What the next child's hub starts with. */
  #hub: Partial<HubOptions>;
  #turn: StreamEvent[] = [];
  #notBefore = 0;
  #isClosing = false;

  constructor(options: FanoutOptions, modules: FanoutModules) {
    this.#options = options;
    this.#modules = modules;
    this.#hub = modules.hub;
    this.#cancel = modules.server.onEvent((event) => this.#take(event));
  }

  processes(): readonly ProcessStatus[] {
    return [...this.#children].map(({ process, seats, stats }) => ({
      pid: process.pid ?? 0,
      subscribers: seats.size,
      hub: stats,
    }));
  }

  /** Gives the socket away; false where no child can be had now. `onEnd` is called once, when the subscriber is gone. */
  seat(seat: Seat, socket: Socket, head: Uint8Array, onEnd: () => void): boolean {
    const child = this.#leastLoaded();
    if (child === null) return false;
    // The backlog of the seat ends with what was published so far: events of this turn must not come twice.
    this.#flush();
    this.#forward(child);
    const types = (seat.filter.types ?? []).filter((type) => !BASIC.has(type));
    child.seats.set(seat.id, { onEnd, socket, types });
    for (const type of types) child.named.set(type, (child.named.get(type) ?? 0) + 1);
    socket.pause();
    // The bare handle, not the socket: a server that has sent sockets away never closes once the children are gone. Ours stays
    // open until the child has its own, and its end then is no end for the client.
    const { _handle: handle } = socket as unknown as { _handle: SendHandle };
    this.#send(child, { type: "seat", seat, head }, handle);
    return true;
  }

  /** Other paces and rates, for the children that there are, behind what was published so far, and for those to come. */
  adjust(tiers: HubOptions["tiers"]): void {
    this.#hub = { ...this.#hub, tiers };
    this.#flush();
    for (const child of this.#children) {
      this.#forward(child);
      this.#send(child, { type: "adjust", tiers });
    }
  }

  /** Closes every subscriber with a goodbye and lets the children end. */
  async drain(): Promise<void> {
    this.#isClosing = true;
    this.#cancel();
    this.#flush();
    for (const child of this.#children) {
      this.#forward(child);
      this.#send(child, { type: "drain" });
    }
    await Promise.all([...this.#children].map((child) => child.exited));
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#cancel();
    const children = [...this.#children];
    for (const { process } of children) if (process.connected) process.disconnect();
    const kill = this.#modules.clock.after(EXIT_TIMEOUT_MS, () =>
      children.forEach((child) => child.process.kill("SIGKILL")),
    );
    await Promise.all(children.map((child) => child.exited));
    kill();
  }

  #take(event: StreamEvent): void {
    if (this.#children.size === 0) return;
    this.#turn.push(event);
    if (this.#turn.length === 1) queueMicrotask(() => this.#flush());
  }

  /** One message a turn and child. */
  #flush(): void {
    const events = this.#turn;
    if (events.length === 0) return;
    this.#turn = [];
    for (const child of this.#children) {
      child.waiting.push(...events.filter(({ type }) => BASIC.has(type) || (child.named.get(type) ?? 0) > 0));
      if (child.inFlight < MAX_IN_FLIGHT) this.#forward(child);
      else if (child.waiting.length > this.#options.maxPendingEvents) {
        // It is stuck: whoever it holds is better off with a reconnect than behind an ever longer queue.
        child.waiting = [];
        child.process.kill("SIGKILL");
      }
    }
  }

  #forward(child: Child): void {
    const events = child.waiting;
    if (events.length === 0) return;
    child.waiting = [];
    this.#send(child, { type: "events", events });
  }

  #leastLoaded(): Child | null {
    if (this.#isClosing) return null;
    if (this.#children.size < this.#options.processes && this.#modules.clock.now() >= this.#notBefore) this.#start();
    let best: Child | null = null;
    for (const child of this.#children) if (best === null || child.seats.size < best.seats.size) best = child;
    return best;
  }

  #start(): void {
    const process = fork(PROGRAM, {
      serialization: "advanced",
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      execArgv: [],
    });
    const { promise: exited, resolve } = Promise.withResolvers<void>();
    const child: Child = {
      process,
      seats: new Map(),
      named: new Map(),
      exited,
      isReady: false,
      stats: null,
      inFlight: 0,
      waiting: [],
    };
    this.#children.add(child);
    process.on("message", (message: FromChild) => this.#told(child, message));
    const ended = (how: string): void => {
      resolve();
      this.#ended(child, how);
    };
    process.on("error", (error) => {
      // One that could not be started, for want of processes or descriptors, has no exit.
      if (process.pid === undefined) ended(messageOf(error));
      else this.#modules.server.onFault(error, "fan-out process");
    });
    process.once("exit", (code, signal) => ended(signal ?? `code ${code}`));
    const { sockets } = this.#modules;
    this.#send(child, { type: "start", clockShiftMs: clockShift(), hub: this.#hub, sockets });
  }

  #told(child: Child, message: FromChild): void {
    const { server } = this.#modules;
    switch (message.type) {
      case "ready":
        child.isReady = true;
        return;
      case "taken":
        child.seats.get(message.id)?.socket.destroy();
        return;
      case "ended":
        for (const id of message.ids) endSeat(child, id);
        return;
      case "report":
        child.stats = message.stats;
        for (const [tier, relayMs] of message.relayed) server.onRelayed(tier, relayMs);
        return;
      case "drop":
        server.onDrop(message.drop);
    }
  }

  #ended(child: Child, how: string): void {
    this.#children.delete(child);
    for (const id of child.seats.keys()) endSeat(child, id);
    if (this.#isClosing) return;
    if (!child.isReady) this.#notBefore = this.#modules.clock.now() + RESTART_PAUSE_MS;
    const message = `a fan-out process ended by itself (${how}); its clients come back with their cursors`;
    this.#modules.server.onFault(
      new SprintError("SPRINT_SERVER_FANOUT_ENDED", message, { pid: child.process.pid, how }),
      "fan-out process",
    );
  }

  #send(child: Child, message: ToChild, handle?: SendHandle): void {
    if (!child.process.connected) return;
    child.inFlight++;
    child.process.send(message, handle, {}, () => {
      child.inFlight--;
      this.#forward(child);
    });
  }
}

function endSeat(child: Child, id: string): void {
  const held = child.seats.get(id);
  child.seats.delete(id);
  for (const type of held?.types ?? []) child.named.set(type, (child.named.get(type) ?? 0) - 1);
  held?.socket.destroy();
  held?.onEnd();
}

/** The system's monotonic clock minus this process's: what makes the times of two processes comparable. */
export function clockShift(): number {
  return Number(process.hrtime.bigint()) / 1e6 - performance.now();
}
