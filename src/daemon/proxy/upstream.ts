/** A node behind an RPC address as the proxy asks it: with connections of its own, so that clients and the relay do not wait for each other. */
import type { Clock } from "../../shared/clock.ts";
import { type RpcAddress, RpcClient, rpcOrigin } from "../upstream/index.ts";
import { PROXY_DEFAULTS, type RpcUpstream } from "./types.ts";

export interface RpcUpstreamOptions {
  readonly name: string;
  readonly address: RpcAddress;
  /** The network's usual port, where the address says none. */
  readonly rpcPort: number;
}

export interface RpcUpstreamModules {
  readonly clock: Clock;
  readonly heightNow: () => number | null;
}

export function openRpcUpstream(
  options: RpcUpstreamOptions,
  modules: RpcUpstreamModules,
): RpcUpstream & { close(): Promise<void> } {
  const { name, address, rpcPort } = options;
  const { perUpstream, leftPerUpstream } = PROXY_DEFAULTS;
  const { clock, heightNow } = modules;
  const client = new RpcClient(
    // The bulkhead keeps calls below `concurrency`: nothing ever waits here.
    {
      origin: rpcOrigin(address, rpcPort),
      path: address.path,
      auth: address.auth,
      concurrency: perUpstream + leftPerUpstream,
      queueLimit: 0,
    },
    { clock },
  );
  return {
    name,
    heightNow,
    ask: (method, params, call) => client.ask(method, params, call),
    close: () => client.close(),
  };
}
