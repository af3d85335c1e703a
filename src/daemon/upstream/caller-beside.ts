/** Where a node behind a WebSocket is asked. Most answer over the socket itself; that of a Solana validator has subscriptions only, and its RPC is one port
 *  below. */
import type { Clock } from "../../shared/clock.ts";
import { isSprintError } from "../../shared/errors.ts";
import { RpcClient, type RpcCaller } from "./jsonrpc.ts";
import type { RpcSocket } from "./rpc-socket.ts";
import { REFUSED } from "./svm-node.ts";
import { type RpcAddress, rpcOrigin, type WsAddress } from "./url.ts";

export interface BesideOptions {
  readonly rpcPort: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly probe: string;
}

export interface OpenCaller {
  readonly caller: RpcCaller;
  close(): Promise<void>;
}

const TIMEOUT_MS = 15_000;
/** A socket that takes no questions may leave them without an answer. */
const SOCKET_ANSWER_MS = 3_000;
const CONCURRENCY = 8;

export function openHttpCaller(address: RpcAddress, rpcPort: number, clock: Clock): OpenCaller {
  const { path, auth } = address;
  const options = { origin: rpcOrigin(address, rpcPort), path, auth, concurrency: CONCURRENCY, timeoutMs: TIMEOUT_MS };
  const client = new RpcClient(options, { clock });
  return { caller: client, close: () => client.close() };
}

/** Who answers `probe`, a method without arguments: what the URL names, else the socket itself, else HTTP beside it. Throws SPRINT_RPC_*. */
export async function openCallerBeside(
  socket: RpcSocket,
  address: WsAddress,
  { rpcPort, clock, signal, probe }: BesideOptions,
): Promise<OpenCaller> {
  if (address.rpc !== null) return openHttpCaller(address.rpc, rpcPort, clock);
  const own: OpenCaller = { caller: socket, close: async () => {} };
  if (await answers(own, probe, signal, true)) return own;
  const places = placesBeside(address, rpcPort);
  for (const place of places.slice(0, -1)) {
    const open = openHttpCaller(place, rpcPort, clock);
    if (await answers(open, probe, signal, false)) return open;
    await open.close();
  }
  return openHttpCaller(places.at(-1) as RpcAddress, rpcPort, clock);
}

/** Not whether it is the right node. Throws where the connection ended. */
async function answers(
  { caller }: OpenCaller,
  probe: string,
  signal: AbortSignal,
  isSocket: boolean,
): Promise<boolean> {
  try {
    await caller.call(probe, [], { signal, timeoutMs: SOCKET_ANSWER_MS });
    return true;
  } catch (error) {
    if (!isSprintError(error) || signal.aborted) throw error;
    if (isSocket && !REFUSED.has(error.code) && error.code !== "SPRINT_RPC_TIMEOUT") throw error;
    return false;
  }
}

function placesBeside({ secure, host, port, path, auth }: WsAddress, rpcPort: number): readonly RpcAddress[] {
  const same: RpcAddress = { secure, host, port, path, auth };
  if (secure) return [same];
  if (port === null) return [{ ...same, port: rpcPort }];
  return port > 1 ? [same, { ...same, port: port - 1 }] : [same];
}
