/** All listeners as one: built, listening, draining, closed together. */
import type { ListenerBody } from "../../shared/api.ts";
import { CLOSE } from "../../shared/events.ts";
import type { Tier } from "../../shared/tier.ts";
import { createControlListener } from "./control.ts";
import { Fanout, type ProcessStatus } from "./fanout.ts";
import type { ServerModules } from "./modules.ts";
import {
  type Adjustment,
  FANOUT_DEFAULTS,
  HTTP_LIMITS,
  type ServerOptions,
  SOCKET_LIMITS,
  SUBSCRIPTION_LIMITS,
} from "./options.ts";
import { EventSockets } from "./sockets.ts";
import { createTierListener, type TierListener } from "./tier.ts";

export interface Addresses {
  /** Origin of the control API. */
  readonly control: string;
  readonly tiers: Readonly<Partial<Record<Tier, string>>>;
}

export interface Server {
  /** Opens every port, or none: throws SPRINT_SERVER_PORT_IN_USE, SPRINT_SERVER_LISTEN. */
  listen(): Promise<Addresses>;
  /** New limits and tokens from now on, with every socket kept but the control streams of tokens that are gone. */
  adjust(adjustment: Adjustment): void;
  /** `/readyz` says 503 and no stream is opened from now on; every subscriber gets a goodbye with its cursor. Resolves when all
   *  their sockets are closed, which takes no longer than the sockets' close time-out. */
  drain(): Promise<void>;
  /** Closes the ports and whatever is still open. */
  close(): Promise<void>;
  listeners(): readonly ListenerBody[];
  processes(): readonly ProcessStatus[];
}

export async function createServer(options: ServerOptions, modules: ServerModules): Promise<Server> {
  const http = { ...HTTP_LIMITS, ...options.http };
  const subscriptions = { ...SUBSCRIPTION_LIMITS, ...options.subscriptions };
  const limits = { ...SOCKET_LIMITS, ...options.sockets };
  const fanoutOptions = { ...FANOUT_DEFAULTS, ...options.fanout };
  const { version, network, startedAt } = options;
  const { clock, hub } = modules;
  let draining = false;
  const isDraining = (): boolean => draining;

  const here = new EventSockets(limits, { clock, hub });
  const fanout = new Fanout(fanoutOptions, { clock, hub: options.hub ?? {}, sockets: limits, server: modules });
  const tiers: TierListener[] = [];
  for (const tier of options.tiers) {
    const { threshold } = fanoutOptions;
    const listenerOptions = { ...tier, version, network, startedAt, http, subscriptions, threshold };
    tiers.push(await createTierListener(listenerOptions, { server: modules, here, fanout, isDraining }));
  }
  const listeners = (): readonly ListenerBody[] => tiers.map((tier) => tier.status());
  const processes = (): readonly ProcessStatus[] => fanout.processes();
  const controlOptions = { ...options.control, version, network, startedAt, http, sockets: limits };
  const control = await createControlListener(controlOptions, { server: modules, listeners, processes, isDraining });

  const close = async (): Promise<void> => {
    draining = true;
    here.close();
    await fanout.close();
    await Promise.all([...tiers.map((tier) => tier.close()), control.close()]);
  };

  return {
    async listen() {
      try {
        const addresses: Partial<Record<Tier, string>> = {};
        for (const [index, tier] of tiers.entries()) {
          const url = await tier.listen();
          const name = options.tiers[index]?.tier;
          if (name !== undefined) addresses[name] = url;
        }
        return { control: await control.listen(), tiers: addresses };
      } catch (error) {
        await close();
        throw error;
      }
    },
    adjust({ tiers: next = {}, tokens, hub: paces }) {
      for (const [index, { tier }] of options.tiers.entries()) {
        const tierLimits = next[tier];
        if (tierLimits !== undefined) tiers[index]?.limitTo(tierLimits);
      }
      if (tokens !== undefined) control.replaceTokens(tokens);
      if (paces !== undefined) {
        hub.adjust(paces);
        fanout.adjust(paces);
      }
    },
    async drain() {
      draining = true;
      hub.closeAll(CLOSE.SHUTDOWN, "shutdown");
      await Promise.all([here.empty(), fanout.drain()]);
    },
    close,
    listeners,
    processes,
  };
}
