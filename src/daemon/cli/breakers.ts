/** `sprint breakers …`: what guards each upstream, and an operator's orders to it. */
import type { BreakerBody } from "../../shared/api.ts";
import { EXIT } from "../../shared/cli.ts";
import type { Order } from "../../shared/client.ts";
import { breakerText, changesText, historyText, listText, untilText } from "./breakertext.ts";
import { type AskOptions, connect } from "./connect.ts";
import { type Io, paintFor, printResult } from "./io.ts";
import { patchOf } from "./patch.ts";
import { redraw } from "./redraw.ts";

export async function list(options: AskOptions & { readonly watch: boolean }, io: Io): Promise<number> {
  const { client } = await connect(options, io);
  const paint = paintFor(io.stdout, io, options);
  return redraw(options, io, async () => {
    const answer = await client.breakers();
    return () =>
      printResult(io, options, answer, () => listText(answer, Date.now(), { paint, columns: io.stdout.columns }));
  });
}

export async function get(name: string, options: AskOptions, io: Io): Promise<number> {
  const { client } = await connect(options, io);
  const breaker = await client.breaker(name);
  // The document is the breaker alone; people also want to know how it came there.
  const latest = options.json === true ? null : ((await client.breakerHistory(name, 1)).transitions[0] ?? null);
  const paint = paintFor(io.stdout, io, options);
  printResult(io, options, breaker, () => breakerText(breaker, latest, Date.now(), paint));
  return EXIT.DONE;
}

export async function history(name: string, options: AskOptions & { readonly last: number }, io: Io): Promise<number> {
  const { client } = await connect(options, io);
  const answer = await client.breakerHistory(name, options.last);
  printResult(io, options, answer, () => historyText(answer, paintFor(io.stdout, io, options)));
  return EXIT.DONE;
}

export type ForceOptions = AskOptions & { readonly reason: string; readonly for?: number };

export async function forceOpen(name: string, options: ForceOptions, io: Io): Promise<number> {
  const { client } = await connect(options, io);
  const breaker = await client.forceOpen(name, orderOf(options));
  return tellState(breaker, options, io, "");
}

export async function forceClose(name: string, options: ForceOptions, io: Io): Promise<number> {
  const { client } = await connect(options, io);
  const breaker = await client.forceClose(name, orderOf(options));
  const isBeaten = breaker.state === "force_open";
  return tellState(breaker, options, io, isBeaten ? "; force-open beats force-close, which follows when it ends" : "");
}

export async function reset(name: string, options: AskOptions, io: Io): Promise<number> {
  const { client } = await connect(options, io);
  return tellState(await client.resetBreaker(name), options, io, "");
}

export async function set(name: string, changes: readonly string[], options: AskOptions, io: Io): Promise<number> {
  const patch = patchOf(changes);
  const { client } = await connect(options, io);
  const answer = await client.configureBreaker(name, patch);
  printResult(io, options, answer, () => changesText(name, answer, paintFor(io.stdout, io, options)));
  return EXIT.DONE;
}

function orderOf({ reason, for: forMs }: ForceOptions): Order {
  return { reason, ...(forMs === undefined ? {} : { forMs }) };
}

function tellState(breaker: BreakerBody, options: AskOptions, io: Io, note: string): number {
  const { name, state, forced } = breaker;
  const forcedBy = forced === null ? "" : `, ${untilText(forced, Date.now())}`;
  printResult(io, options, breaker, () => `${name} is ${state}${forcedBy}${note}`);
  return EXIT.DONE;
}
