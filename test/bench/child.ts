/** Children of a bench: processes of their own that are told what to do, and answer each order with one message. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

const PATIENCE_MS = 20_000;

export function child(file: string): ChildProcess {
  return fork(fileURLToPath(new URL(file, import.meta.url)));
}

/** The next message of a child; rejects when it ends or stays silent. */
export function heard(from: ChildProcess, patienceMs = PATIENCE_MS): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(patience);
      from.off("message", onMessage).off("exit", onExit);
      act();
    };
    const onMessage = (message: unknown): void => settle(() => resolve(message));
    const onExit = (code: number | null): void =>
      settle(() => reject(new Error(`a child of the bench ended with ${code}`)));
    const patience = setTimeout(() => onSilence(), patienceMs);
    const onSilence = (): void =>
      settle(() => reject(new Error(`a child of the bench said nothing for ${patienceMs} ms`)));
    from.on("message", onMessage).on("exit", onExit);
  });
}
