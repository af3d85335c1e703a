/**
 * What operators ordered and has not ended (forces and settings of breakers, cordons of upstreams), in `orders.json` of the data directory: neither a
 * restart nor a kill takes an order back. Each write replaces the file as a whole, before the operator is answered.
 *
 * An upstream is known by its URL: names are given anew at each start, in the order of the configuration.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Static, Type } from "typebox";
import { Value } from "typebox/value";
import { SprintError, messageOf } from "../shared/errors.ts";

/** As many as all upstreams of all chains have breakers. */
const MOST_ORDERS = 2_000;

const cordon = {
  reason: Type.String(),
  /** Unix ms; null: until it is taken back. */
  until: Type.Union([Type.Number(), Type.Null()]),
};
const Cordon = Type.Object(cordon);
const Held = Type.Object({ owner: Type.String(), ...cordon });
export type Held = Static<typeof Held>;
const Order = Type.Object({
  /** Breakers. */
  forceOpen: Type.Union([Held, Type.Null()]),
  forceClose: Type.Union([Held, Type.Null()]),
  /** Upstreams. */
  cordon: Type.Union([Cordon, Type.Null()]),
  /** Fields of a breaker's policy. */
  settings: Type.Record(Type.String(), Type.Union([Type.Number(), Type.Boolean()])),
});
export type Order = Static<typeof Order>;

const Kept = Type.Object({ target: Type.String(), order: Order });
const File = Type.Object({ version: Type.Literal(1), orders: Type.Array(Kept, { maxItems: MOST_ORDERS }) });

export const NO_ORDER: Order = { forceOpen: null, forceClose: null, cordon: null, settings: {} };

export interface Orders {
  /** What still holds for `target`, which is called the same in each run. */
  of(target: string): Order;
  /** In place of what was ordered before; what orders nothing is forgotten. */
  put(target: string, order: Order): void;
}

/** For who keeps none. */
export const NO_ORDERS: Orders = { of: () => NO_ORDER, put: () => {} };

export interface OrdersModules {
  readonly wall: () => number;
  /** SPRINT_ORDERS_UNREADABLE, SPRINT_ORDERS_UNWRITABLE: the daemon goes on without. */
  readonly onFault: (error: SprintError) => void;
}

export function openOrders(options: { readonly directory: string }, modules: OrdersModules): Orders {
  const { wall, onFault } = modules;
  const path = join(options.directory, "orders.json");
  const kept = new Map(read(path, onFault).map((each) => [each.target, each]));
  return {
    of(target) {
      const known = kept.get(target);
      return known === undefined ? NO_ORDER : stillHeld(known.order, wall());
    },
    put(target, order) {
      if (isNothing(order)) kept.delete(target);
      else kept.set(target, { target, order });
      for (const oldest of kept.keys()) if (kept.size > MOST_ORDERS) kept.delete(oldest);
      const now = wall();
      const orders = [...kept.values()].filter((each) => !isNothing(stillHeld(each.order, now)));
      try {
        writeFileSync(`${path}.new`, `${JSON.stringify({ version: 1, orders })}\n`, { mode: 0o600 });
        renameSync(`${path}.new`, path);
      } catch (cause) {
        const message = `expected to write ${path}: ${messageOf(cause)}; what was ordered holds until the next start only`;
        onFault(new SprintError("SPRINT_ORDERS_UNWRITABLE", message, { path }, { cause }));
      }
    },
  };
}

function stillHeld(order: Order, now: number): Order {
  const held = <T extends { readonly until: number | null }>(each: T | null): T | null =>
    each !== null && (each.until ?? Infinity) <= now ? null : each;
  return {
    forceOpen: held(order.forceOpen),
    forceClose: held(order.forceClose),
    cordon: held(order.cordon),
    settings: order.settings,
  };
}

function isNothing({ forceOpen, forceClose, cordon, settings }: Order): boolean {
  return forceOpen === null && forceClose === null && cordon === null && Object.keys(settings).length === 0;
}

function read(path: string, onFault: OrdersModules["onFault"]): Static<typeof File>["orders"] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return [];
  }
  try {
    const file: unknown = JSON.parse(text);
    if (Value.Check(File, file)) return file.orders;
  } catch {
    // Told below.
  }
  const message = `expected ${path} to hold what operators ordered, and it does not; it is not used, and written anew with the next order`;
  onFault(new SprintError("SPRINT_ORDERS_UNREADABLE", message, { path }));
  return [];
}
