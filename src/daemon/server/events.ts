/** `/ws/v1/events` of one listener: from a handshake to a seat. */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { EventsQuery, TIER_ROUTES } from "../../shared/api.ts";
import { type Chain } from "../../shared/chain.ts";
import { SprintError } from "../../shared/errors.ts";
import type { EventType } from "../../shared/events.ts";
import type { Tier } from "../../shared/tier.ts";
import type { Filter } from "../relay/index.ts";
import type { Gate } from "./gate.ts";
import type { Fanout } from "./fanout.ts";
import { checkHandshake, type Handshake } from "./handshake.ts";
import { notFound } from "./http.ts";
import { checkInput } from "./input.ts";
import type { ServerModules } from "./modules.ts";
import type { EventSockets, Seat } from "./sockets.ts";
import { filterOf, type Subscriptions } from "./subscriptions.ts";

export interface EventsOptions {
  readonly tier: Tier;
  readonly version: string;
  readonly network: string;
  /** Subscribers of this listener that stay in this process. */
  readonly threshold: number;
}

export interface EventsModules {
  readonly server: ServerModules;
  readonly here: EventSockets;
  readonly fanout: Fanout;
  readonly subscriptions: Subscriptions;
  readonly gate: Gate;
  readonly isDraining: () => boolean;
}

export class EventsEndpoint {
  readonly #options: EventsOptions;
  readonly #modules: EventsModules;
  #here = 0;
  #elsewhere = 0;
  #opened = 0;

  constructor(options: EventsOptions, modules: EventsModules) {
    this.#options = options;
    this.#modules = modules;
  }

  get subscribers(): number {
    return this.#here + this.#elsewhere;
  }

  /** Rejects with SPRINT_API_* where the request is not one that can be served; the socket is untouched then. */
  async open(request: IncomingMessage, socket: Socket, head: Uint8Array): Promise<void> {
    const url = new URL(request.url ?? "/", "ws://any");
    if (url.pathname !== TIER_ROUTES.events) throw notFound({ method: "WS", url: url.pathname });
    const handshake = checkHandshake(request);
    const query = checkInput(EventsQuery, queryOf(url), "query");
    const filter = this.#filterOf(query);
    if (filter.logs?.abi !== undefined) await this.#modules.server.prepareAbi(filter.logs.abi);
    // Just after a restart: a little patience saves the client a gap.
    if (query.cursor !== undefined) await this.#modules.server.caughtUp(query.cursor, filter);
    if (this.#modules.isDraining()) throw draining();
    if (!socket.destroyed) this.#seat(query, filter, handshake, socket, head);
  }

  /** The backlog is taken and the subscriber seated in one turn: nothing is published in between. */
  #seat(query: EventsQuery, filter: Filter, handshake: Handshake, socket: Socket, head: Uint8Array): void {
    const { tier, version, network, threshold } = this.#options;
    const { server, here, fanout, gate, subscriptions } = this.#modules;
    const { recovered, cursor, backlog } = server.resume(query.cursor ?? null, filter);
    const hello = { type: "hello", cursor, data: { tier, network, recovered, version } } as const;
    const seat: Seat = { id: `${tier}-${++this.#opened}`, tier, filter, handshake, opening: { hello, backlog } };
    const release = query.subscription === undefined ? null : subscriptions.use(query.subscription);
    // Logs are decoded in this process only.
    if (this.#here >= threshold && filter.logs?.abi === undefined) {
      let left = (): void => {};
      const onEnd = (): void => {
        this.#elsewhere--;
        left();
        release?.();
      };
      if (fanout.seat(seat, socket, head, onEnd)) {
        this.#elsewhere++;
        left = gate.movedAway(socket);
        return;
      }
    }
    this.#here++;
    here.seat(seat, socket, head, () => {
      this.#here--;
      release?.();
    });
  }

  #filterOf(query: EventsQuery): Filter {
    const { cursor: _, subscription, ...named } = query;
    if (subscription !== undefined) {
      if (Object.keys(named).length === 0) return this.#modules.subscriptions.filterOf(subscription);
      const message = "query: subscription stands for the whole filter; give the one or the other";
      throw new SprintError("SPRINT_API_BAD_INPUT", message, { part: "query", field: "subscription" });
    }
    const { chains, types, phase, address, watch } = named;
    const topics = [named.topic0, named.topic1, named.topic2, named.topic3].map((text) => text?.split(",") ?? null);
    const addresses = address?.split(",") ?? [];
    const hasLogs = address !== undefined || topics.some((any) => any !== null);
    return filterOf({
      ...(chains === undefined ? {} : { chains: [...this.#chainsOf(chains.split(","))] }),
      ...(types === undefined ? {} : { types: types.split(",") as EventType[] }),
      ...(phase === undefined ? {} : { phase }),
      ...(hasLogs ? { logs: { addresses, topics } } : {}),
      ...(address === undefined ? {} : { pending: { addresses } }),
      ...(watch === undefined ? {} : { watch: watch.split(",") }),
    });
  }

  #chainsOf(chains: readonly Chain[]): readonly Chain[] {
    const on = this.#modules.server.chains().map(({ chain }) => chain);
    const off = chains.filter((chain) => !on.includes(chain));
    if (off.length === 0) return chains;
    const message = `${off.join(", ")} is not relayed by this daemon; it relays ${on.join(", ") || "no chain"}`;
    throw new SprintError("SPRINT_API_CHAIN_OFF", message, { off, on });
  }
}

/** A parameter that stands twice is an array, which no schema here takes. */
function queryOf(url: URL): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = {};
  for (const name of new Set(url.searchParams.keys())) {
    const values = url.searchParams.getAll(name);
    query[name] = values.length === 1 ? (values[0] ?? "") : values;
  }
  return query;
}

export function draining(): SprintError {
  return new SprintError("SPRINT_API_DRAINING", "the daemon is shutting down; come back with your cursor in a moment");
}
