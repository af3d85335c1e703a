/** The periodic tasks, a table. They tidy and check; nothing on the way of a block waits for them. */
import type { Cancel, Clock } from "../shared/clock.ts";

export interface Task {
  readonly name: string;
  readonly everyMs: number;
  readonly run: () => void;
}

/** What each row below does; daemon.ts says how. */
export interface Work {
  readonly checkFeeds: () => void;
  readonly evaluateStates: () => void;
  readonly collectMetrics: () => void;
  readonly checkHealth: () => void;
  readonly adaptThresholds: () => void;
  readonly cleanUp: () => void;
  readonly tellStats: () => void;
  readonly tickStats: () => void;
  readonly takeSnapshots: () => void;
}

/** A breaker decides by itself, from time, when it is asked; what nobody asks for is looked at here. */
export function tasksOf(work: Work): readonly Task[] {
  return [
    // Forces whose time is over, so that their end is told when it comes.
    { name: "state evaluation", everyMs: 10_000, run: work.evaluateStates },
    // Rates of what is heard are counted by the second.
    { name: "stats clock", everyMs: 1_000, run: work.tickStats },
    // Mempools, epochs and votes, from the nodes.
    { name: "snapshots", everyMs: 10_000, run: work.takeSnapshots },
    // What each chain's users watch, to those who listen.
    { name: "stats", everyMs: 5_000, run: work.tellStats },
    // Upstreams that fell behind the others.
    { name: "check feeds", everyMs: 30_000, run: work.checkFeeds },
    // Every breaker's figures, to the metrics and the control stream.
    { name: "metrics collection", everyMs: 30_000, run: work.collectMetrics },
    // What is unhealthy without being open is told in the log.
    { name: "health", everyMs: 60_000, run: work.checkHealth },
    // Thresholds that moved are told in the log.
    { name: "adaptive thresholds", everyMs: 120_000, run: work.adaptThresholds },
    // Calls whose result never came, breakers without owner or callers.
    { name: "cleanup", everyMs: 3_600_000, run: work.cleanUp },
  ];
}

/** Runs each task in its own rhythm until cancelled. One that throws is told of and goes on next time. */
export function startTasks(
  tasks: readonly Task[],
  modules: { readonly clock: Clock; readonly onError: (task: string, error: unknown) => void },
): Cancel {
  const cancels = new Map<Task, Cancel>();
  const schedule = (task: Task): void => {
    const fire = (): void => {
      schedule(task);
      try {
        task.run();
      } catch (error) {
        modules.onError(task.name, error);
      }
    };
    cancels.set(task, modules.clock.after(task.everyMs, fire));
  };
  for (const task of tasks) schedule(task);
  return () => {
    for (const cancel of cancels.values()) cancel();
  };
}
