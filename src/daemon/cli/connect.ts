/** The daemon that a command asks, found by its options. */
import { ControlClient, type DaemonAddress, findDaemon } from "../../shared/client.ts";
import type { CommonOptions, Io } from "./io.ts";

/** Options of every command that asks a running daemon. */
export interface AskOptions extends CommonOptions {
  readonly daemon?: string;
  readonly token?: string;
  readonly dataDir?: string;
}

/** Throws SPRINT_CLIENT_NO_DAEMON, SPRINT_CLIENT_NO_TOKEN, SPRINT_CLIENT_BAD_URL. */
export async function connect(
  options: AskOptions,
  io: Io,
  limits: { readonly timeoutMs?: number } = {},
): Promise<{ client: ControlClient; address: DaemonAddress }> {
  const { daemon, token, dataDir } = options;
  const address = await findDaemon({ daemon, token, dataDir, env: io.env });
  return { client: new ControlClient(limits, { address }), address };
}
