/** Plug-ins taken over while the daemon runs: lines of their chains are opened, swapped and closed; those of all other chains go on undisturbed. */
import { isBuiltIn } from "../../shared/chain.ts";
import type { Clock } from "../../shared/clock.ts";
import type { ChainLine } from "../line/index.ts";
import type { ChainConfig, Config } from "../config/index.ts";
import type { PluginStatus, Plugins } from "./load.ts";
import { GAP, type StreamDraft } from "../relay/index.ts";

export interface SwapModules {
  readonly plugins: Plugins;
  readonly lines: () => readonly ChainLine[];
  readonly setLines: (lines: readonly ChainLine[]) => void;
  /** With the books of the line that was there before; null where there is no row for the chain. */
  readonly openLine: (chain: ChainConfig, before: ChainLine | null) => ChainLine | null;
  readonly publish: (draft: StreamDraft) => void;
  readonly flush: () => void;
  readonly clock: Clock;
  /** The daemon stops: what is opened now nobody would close. */
  readonly isClosing: () => boolean;
}

/** Loads the plug-ins of a configuration, one reload after the other. A chain whose plug-in is refused keeps the line that it has. */
export function createSwap(modules: SwapModules): (config: Config) => Promise<readonly PluginStatus[]> {
  const { plugins, lines, setLines, openLine, publish, flush, clock, isClosing } = modules;
  let running: Promise<unknown> = Promise.resolve();

  /** Its place in the stream is given up with it. */
  const tellGone = ({ chain, network }: ChainLine): void => {
    const data = { from: null, to: null, reason: GAP.CHAIN_REPLACED };
    publish({ chain, network, receivedAt: clock.now(), type: "gap", data });
    flush();
  };

  const swapChain = async (chain: ChainConfig): Promise<void> => {
    if (isClosing()) return;
    const before = lines().find((line) => line.chain === chain.chain) ?? null;
    const row = plugins.row(chain.chain);
    if (row === undefined || (before !== null && row === before.row)) return;
    const isSame = before !== null && before.codec.family === row.family && before.codec.network === chain.network;
    // What begins anew gives its upstreams the same names: those of before are free first.
    if (!isSame) await before?.close();
    let line: ChainLine | null = null;
    try {
      line = openLine(chain, isSame ? before : null);
    } finally {
      // An upstream may be none of the new family's: then nobody is left to relay the chain.
      if (!isSame && line === null) setLines(lines().filter((each) => each !== before));
    }
    if (line === null) return;
    if (isSame) await before?.close();
    if (isClosing()) return line.close();
    if (before !== null && !isSame) tellGone(before);
    setLines(before === null ? [...lines(), line] : lines().map((each) => (each === before ? line : each)));
    line.start();
  };

  const take = async (config: Config): Promise<readonly PluginStatus[]> => {
    const statuses = await plugins.load(config.plugins);
    const brought = config.chains.filter(({ chain }) => !isBuiltIn(chain));
    const failures: unknown[] = [];
    for (const chain of brought) await swapChain(chain).catch((error: unknown) => failures.push(error));
    if (isClosing()) return statuses;
    const gone = lines().filter(({ chain }) => !isBuiltIn(chain) && !brought.some((each) => each.chain === chain));
    setLines(lines().filter((line) => !gone.includes(line)));
    await Promise.all(gone.map((line) => line.close()));
    for (const line of gone) tellGone(line);
    if (failures.length > 0) throw failures[0];
    return statuses;
  };

  return (config) => {
    const taken = running.then(() => take(config));
    running = taken.catch(() => {});
    return taken;
  };
}
