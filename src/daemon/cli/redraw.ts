/** `--watch`: the same again every two seconds, on a terminal in the same place. */
import { setTimeout as sleep } from "node:timers/promises";
import { EXIT } from "../../shared/cli.ts";
import type { CommonOptions, Io } from "./io.ts";

const REDRAW_MS = 2_000;
const CLEAR = "\u001b[H\u001b[2J";

/** `ask` resolves with what prints; ends when standard output is gone, or `ask` throws. */
export async function redraw(
  options: CommonOptions & { readonly watch: boolean },
  io: Io,
  ask: () => Promise<() => void>,
): Promise<number> {
  const isScreen = io.stdout.isTTY === true && options.json !== true;
  const once = async (): Promise<void> => {
    const print = await ask();
    if (options.watch && isScreen) io.stdout.write(CLEAR);
    print();
  };
  await once();
  if (!options.watch) return EXIT.DONE;
  const left = new AbortController();
  io.stdout.on("error", () => left.abort());
  while (!left.signal.aborted) {
    await sleep(REDRAW_MS);
    await once();
  }
  return EXIT.DONE;
}
