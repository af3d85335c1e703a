/** The configuration read again while the daemon runs: checked, compared, and applied whole or not at all. */
import type { ReloadBody } from "../../shared/api.ts";
import { isBuiltIn } from "../../shared/chain.ts";
import { SprintError } from "../../shared/errors.ts";
import { diffConfig } from "./diff.ts";
import type { Config } from "./load.ts";

export interface ReloadModules {
  /** From the sources of the start; throws SPRINT_CONFIG_*. */
  readonly read: () => Config;
  /** Takes what changes while running over from `next`. What may throw comes first, so that then nothing has changed. */
  readonly apply: (next: Config) => void;
}

export interface Reloadable {
  /** What is in effect. */
  current(): Config;
  /** Throws SPRINT_CONFIG_*: what is read does not hold, or, with `data.changes`, SPRINT_CONFIG_NEEDS_RESTART. */
  reload(dryRun: boolean): ReloadBody;
  /** The configuration read again, of which only the plug-ins and their chains are taken over. Throws SPRINT_CONFIG_*. */
  readPlugins(): Config;
}

export function reloadable(start: Config, modules: ReloadModules): Reloadable {
  let current = start;
  return {
    current: () => current,
    readPlugins() {
      const { plugins, chains } = modules.read();
      const own = current.chains.filter(({ chain }) => isBuiltIn(chain));
      current = { ...current, plugins, chains: [...own, ...chains.filter(({ chain }) => !isBuiltIn(chain))] };
      return current;
    },
    reload(dryRun) {
      const next = modules.read();
      const changes = [...diffConfig(current, next)];
      if (dryRun || changes.length === 0) return { applied: false, changes };
      const waiting = changes.filter(({ restart }) => restart).map(({ key }) => key);
      if (waiting.length > 0) {
        const message = `expected changes that a running daemon can take over, got ${waiting.join(", ")}: start it again, or take them back. Nothing was changed`;
        throw new SprintError("SPRINT_CONFIG_NEEDS_RESTART", message, { changes });
      }
      modules.apply(next);
      current = next;
      return { applied: true, changes };
    },
  };
}
