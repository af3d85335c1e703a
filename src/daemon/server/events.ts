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
import type { EventSockets } from "./sockets.ts";
import type { Subscriptions } from "./subscriptions.ts";

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

  /** Throws SPRINT_API_* where the request is not one that can be served; the socket is untouched then. */
  open(request: IncomingMessage, socket: Socket, head: Uint8Array): void {
    const url = new URL(request.url ?? "/", "ws://any");
    if (url.pathname !== TIER_ROUTES.events) throw notFound({ method: "WS", url: url.pathname });
    const handshake = checkHandshake(request);
    const query = checkInput(EventsQuery, queryOf(url), "query");
    const filter = this.#filterOf(query);
    const release = query.subscription === undefined ? null : this.#modules.subscriptions.use(query.subscription);

    const seat = (): void => this.#seat(query, filter, handshake, socket, head, release);
    const waiting = query.cursor === undefined ? null : this.#modules.server.caughtUp(query.cursor, filter);
    if (waiting === null) return seat();
    // Just after a restart: a little patience saves the client a gap.
    const onError = (): void => {};
    socket.on("error", onError);
    void waiting.then(() => {
      socket.off("error", onError);
      if (socket.destroyed) release?.();
      else seat();
    });
  }

  #seat(
    query: EventsQuery,
    filter: Filter,
    handshake: Handshake,
    socket: Socket,
    head: Uint8Array,
    release: (() => void) | null,
  ): void {
    const { tier, version, network, threshold } = this.#options;
    const { server, here, fanout, gate } = this.#modules;
    const { recovered, cursor, backlog } = server.resume(query.cursor ?? null, filter);
    const hello = { type: "hello", cursor, data: { tier, network, recovered, version } } as const;
    const taken = {
      id: `${tier}-${++this.#opened}`,
      tier,
      filter,
      handshake,
      opening: { hello, backlog },
    };
    if (this.#here >= threshold) {
      let left = (): void => {};
      const onEnd = (): void => {
        this.#elsewhere--;
        left();
        release?.();
      };
      if (fanout.seat(taken, socket, head, onEnd)) {
        this.#elsewhere++;
        left = gate.movedAway(socket);
        return;
      }
    }
    this.#here++;
    here.seat(taken, socket, head, () => {
      this.#here--;
      release?.();
    });
  }

  #filterOf(query: EventsQuery): Filter {
    const { chains, types, phase, subscription } = query;
    if (subscription !== undefined) {
      if (chains === undefined && types === undefined && phase === undefined)
        return this.#modules.subscriptions.filterOf(subscription);
      const message = "query: subscription stands for chains, types and phase; give the one or the others";
      throw new SprintError("SPRINT_API_BAD_INPUT", message, { part: "query", field: "subscription" });
    }
    return {
      chains: chains === undefined ? null : this.#chainsOf(chains.split(",") as Chain[]),
      types: types === undefined ? null : (types.split(",") as EventType[]),
      phase: phase ?? null,
    };
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
