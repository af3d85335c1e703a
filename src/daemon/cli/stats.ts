/** `sprint stats`: what a chain's users watch. */
import { StatsBody, TIER_ROUTES } from "../../shared/api.ts";
import type { Chain } from "../../shared/chain.ts";
import type { AskOptions } from "./connect.ts";
import { type Io, paintFor, printResult } from "./io.ts";
import { openListener } from "./listener.ts";
import { redraw } from "./redraw.ts";
import { statsText } from "./statstext.ts";

export async function stats(
  options: AskOptions & { readonly chain: Chain; readonly watch: boolean },
  io: Io,
): Promise<number> {
  const listener = await openListener(options, io);
  const path = TIER_ROUTES.stats.replace(":chain", encodeURIComponent(options.chain));
  const paint = paintFor(io.stdout, io, options);
  return redraw(options, io, async () => {
    const answer = await listener.ask(StatsBody, path);
    return () => printResult(io, options, answer, () => statsText(answer, Date.now(), paint));
  });
}
