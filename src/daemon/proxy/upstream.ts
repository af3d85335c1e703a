/** A node behind an RPC address as the proxy asks it: with connections of its own, so that clients and the relay do not wait for each other. */
import type { Clock } from "../../shared/clock.ts";
import {
  type OpenCaller,
  type RpcAddress,
  RpcClient,
  RpcSocket,
  type WsAddress,
  openCallerBeside,
  rpcOrigin,
  wsUrl,
} from "../upstream/index.ts";
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

export interface SocketUpstreamOptions {
  readonly name: string;
  readonly address: WsAddress;
  /** The network's usual ones, where the address says none. */
  readonly rpcPort: number;
  readonly wsPort: number;
  /** A method without arguments that tells whether the socket takes questions. */
  readonly probe: string;
}

/** A node of which a WebSocket is all that was written: asked over a socket of the proxy's own, opened with the first question, or beside it. */
export function openSocketUpstream(
  options: SocketUpstreamOptions,
  modules: RpcUpstreamModules,
): RpcUpstream & { close(): Promise<void> } {
  const { name, address, rpcPort, wsPort, probe } = options;
  const { clock, heightNow } = modules;
  const closing = new AbortController();
  let open: Promise<OpenCaller> | null = null;

  const dial = async (): Promise<OpenCaller> => {
    const { auth } = address;
    const socket = new RpcSocket({ url: wsUrl(address, wsPort), auth }, { clock, onLost: () => forget() });
    try {
      await socket.opened();
      const beside = await openCallerBeside(socket, address, { rpcPort, clock, signal: closing.signal, probe });
      return { caller: beside.caller, close: () => Promise.all([beside.close(), socket.close()]).then(() => {}) };
    } catch (error) {
      await socket.close();
      throw error;
    }
  };
  const forget = (): void => {
    const before = open;
    open = null;
    void before?.then(({ close }) => close()).catch(() => {});
  };
  return {
    name,
    heightNow,
    async ask(method, params, call) {
      closing.signal.throwIfAborted();
      open ??= dial();
      const dialled = open;
      try {
        return await (await dialled).caller.ask(method, params, call);
      } catch (error) {
        // One that could not be opened is opened anew by the next question.
        await dialled.catch(() => open === dialled && (open = null));
        throw error;
      }
    },
    async close() {
      closing.abort();
      const before = open;
      open = null;
      await before?.then(({ close }) => close()).catch(() => {});
    },
  };
}
