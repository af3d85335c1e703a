/** Program of a fan-out child: a hub of its own, fed over the channel, with sockets that the main process hands over. */
import { randomBytes } from "node:crypto";
import { Socket, type SocketConstructorOpts } from "node:net";
import { systemClock } from "../../shared/clock.ts";
import { CLOSE } from "../../shared/events.ts";
import type { Tier } from "../../shared/tier.ts";
import { Hub } from "../relay/index.ts";
import { clockShift, type FromChild, type ToChild } from "./fanout.ts";
import { EventSockets } from "./sockets.ts";

let hub: Hub | null = null;
let sockets: EventSockets | null = null;
let ended: string[] = [];
let relayed: [Tier, number][] = [];

const REPORT_INTERVAL_MS = 1_000;
/** Latencies kept for one report; of more than that, the first stand for all. */
const MAX_RELAYED = 1_000;

// A signal of the terminal goes to the whole group; the main process decides when we end.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
// Without a main process there are no events: clients are better off elsewhere.
process.on("disconnect", () => process.exit(0));
process.on("message", take);

function take(message: ToChild, handle: unknown): void {
  switch (message.type) {
    case "start":
      return start(message);
    case "seat": {
      const { seat, head } = message;
      // Undefined: the client had gone before the socket got here.
      if (handle === undefined || sockets === null) return tellEnded(seat.id);
      const socket = new Socket({ handle, readable: true, writable: true } as SocketConstructorOpts);
      tell({ type: "taken", id: seat.id });
      socket.on("error", () => socket.destroy());
      return sockets.seat(seat, socket, head, () => tellEnded(seat.id));
    }
    case "events":
      for (const event of message.events) hub?.publish(event);
      return;
    case "adjust":
      return hub?.adjust(message.tiers);
    case "drain":
      return drain();
  }
}

function start(message: ToChild & { type: "start" }): void {
  // Times in events are the main process's: this clock counts from the same origin.
  const shift = clockShift() - message.clockShiftMs;
  const clock = { ...systemClock, now: () => performance.now() + shift };
  hub = new Hub(message.hub, {
    clock,
    entropy: randomBytes(32),
    defer: queueMicrotask,
    onDrop: ({ subscriber, ...drop }) => tell({ type: "drop", drop: { ...drop, tier: subscriber.tier } }),
    onRelayed: (tier, relayMs) => {
      if (relayed.length < MAX_RELAYED) relayed.push([tier, relayMs]);
    },
  });
  setInterval(report, REPORT_INTERVAL_MS, hub).unref();
  sockets = new EventSockets(message.sockets, { clock, hub });
  tell({ type: "ready" });
}

function drain(): void {
  hub?.closeAll(CLOSE.SHUTDOWN, "shutdown");
  void (sockets?.empty() ?? Promise.resolve()).then(() => process.exit(0));
}

function report(from: Hub): void {
  tell({ type: "report", stats: from.stats(), relayed });
  relayed = [];
}

function tellEnded(id: string): void {
  ended.push(id);
  if (ended.length > 1) return;
  setImmediate(() => {
    tell({ type: "ended", ids: ended });
    ended = [];
  });
}

function tell(message: FromChild): void {
  // The channel may break at any moment: `disconnect` says so, and ends us.
  if (process.connected) process.send?.(message, undefined, {}, () => {});
}
