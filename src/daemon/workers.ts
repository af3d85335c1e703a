/** The periodic tasks, a table. They tidy and check; nothing on the way of a block waits for them. */
import type { Cancel, Clock } from "../shared/clock.ts";

export interface Task {
  readonly name: string;
  readonly everyMs: number;
  readonly run: () => void;
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
