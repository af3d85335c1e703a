/** SIGHUP: the configuration is read again, and the log says what came of it. */
import { isSprintError, messageOf } from "../../shared/errors.ts";
import type { Daemon } from "../daemon.ts";
import type { Logger } from "../observe/index.ts";
import { changesSentence } from "./changestext.ts";

export interface Reloading {
  /** A signal that comes while the daemon starts counts once it has started: its configuration was read before. */
  request(): void;
  /** From now on there is somebody to reload. */
  started(daemon: Pick<Daemon, "reload">): void;
}

export function createReloading(log: Logger): Reloading {
  let daemon: Pick<Daemon, "reload"> | null = null;
  let isAskedFor = false;
  const reload = (from: Pick<Daemon, "reload">): void => {
    try {
      const { changes } = from.reload();
      if (changes.length === 0) log.info("SIGHUP: configuration read again, nothing changed");
      else log.info({ changes }, `SIGHUP: configuration changed: ${changesSentence(changes)}`);
    } catch (error) {
      const code = isSprintError(error) ? error.code : undefined;
      const { changes } = isSprintError(error) ? error.data : {};
      log.error({ code, changes }, `SIGHUP: configuration not changed: ${messageOf(error)}`);
    }
  };
  return {
    request() {
      if (daemon === null) isAskedFor = true;
      else reload(daemon);
    },
    started(started) {
      daemon = started;
      if (isAskedFor) reload(started);
    },
  };
}
