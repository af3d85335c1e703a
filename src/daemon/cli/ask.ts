/** `sprint status`, `stop`, `race`: about the running daemon as a whole. */
import { setTimeout as sleep } from "node:timers/promises";
import type { RaceBody, StatusBody } from "../../shared/api.ts";
import type { Chain } from "../../shared/chain.ts";
import { EXIT, formatDuration, table } from "../../shared/cli.ts";
import type { ControlClient } from "../../shared/client.ts";
import { SprintError } from "../../shared/errors.ts";
import { type AskOptions, connect } from "./connect.ts";
import { fittedTable } from "./fit.ts";
import { type Io, paintFor, printResult } from "./io.ts";

const LOOPBACK: ReadonlySet<string> = new Set(["127.0.0.1", "localhost", "[::1]"]);
const STOP_POLL_MS = 100;

export async function status(options: AskOptions, io: Io): Promise<number> {
  const { client } = await connect(options, io);
  const answer = await client.status();
  printResult(io, options, answer, () => statusText(answer, options, io));
  return EXIT.DONE;
}

function statusText(answer: StatusBody, options: AskOptions, io: Io): string {
  const paint = paintFor(io.stdout, io, options);
  const latency = answer.relay_latency_ms;
  const chains = answer.chains.map((chain) => [
    chain.chain,
    chain.network,
    chain.status,
    chain.tip?.height ?? null,
    chain.tip?.hash ?? null,
    `${chain.upstreams_up}/${chain.upstreams_total}`,
  ]);
  const tiers = answer.tiers.map((tier) => [
    tier.tier,
    tier.url,
    tier.subscribers,
    tier.connections_limit === null ? "unlimited" : tier.connections_limit,
  ]);
  const fit = { columns: io.stdout.columns, cut: { TIP: "start" } } as const;
  const paintStatus = (text: string, _row: number, column: string): string =>
    column === "STATUS" ? paint(text === "synced" ? "green" : text === "down" ? "red" : "yellow", text) : text;
  return [
    `sprint ${answer.version} on ${paint("bold", answer.network)}, process ${answer.pid}, up ${formatDuration(Math.floor(answer.uptime_seconds) * 1000)}, ${Math.round(answer.rss_bytes / 1_048_576)} MB${answer.draining ? paint("yellow", ", draining") : ""}`,
    latency === null
      ? "relay latency: nothing relayed yet"
      : `relay latency: p50 ${latency.p50.toFixed(2)} ms, p99 ${latency.p99.toFixed(2)} ms over ${latency.count} deliveries`,
    "",
    fittedTable(["CHAIN", "NETWORK", "STATUS", "HEIGHT", "TIP", "UPSTREAMS"], chains, fit, paintStatus),
    "",
    table(["TIER", "LISTENER", "SUBSCRIBERS", "LIMIT"], tiers),
  ].join("\n");
}

export async function stop(options: AskOptions & { readonly timeout: number }, io: Io): Promise<number> {
  const { client, address } = await connect(options, io);
  const { pid } = await client.status();
  const isThere = LOOPBACK.has(new URL(address.url).hostname) ? isRunning : () => false;
  await client.stop();
  const deadline = performance.now() + options.timeout;
  while ((await answers(client)) || isThere(pid)) {
    if (performance.now() >= deadline) {
      throw new SprintError(
        "SPRINT_CLI_STOP_TIMEOUT",
        `expected the daemon at ${address.url} to stop within ${formatDuration(options.timeout)}, it is still there; see its log`,
        { url: address.url, timeout_ms: options.timeout },
      );
    }
    await sleep(STOP_POLL_MS);
  }
  printResult(io, options, { stopped: true }, () => "stopped");
  return EXIT.DONE;
}

/** On this machine the process itself is waited for: until it is gone, its data directory and ports are not free. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function answers(client: ControlClient): Promise<boolean> {
  try {
    await client.status();
    return true;
  } catch {
    return false;
  }
}

export async function race(
  options: AskOptions & { readonly chain: Chain; readonly last: number },
  io: Io,
): Promise<number> {
  const { client } = await connect(options, io);
  const answer = await client.race(options.chain, options.last);
  printResult(io, options, answer, () => raceText(answer, io.stdout.columns));
  return EXIT.DONE;
}

function raceText(answer: RaceBody, columns: number | undefined): string {
  if (answer.blocks.length === 0) return `no ${answer.chain} block was announced since the start`;
  const ms = (value: number | null): string => (value === null ? "-" : value.toFixed(1));
  const standings = answer.standings.map((row) => [row.upstream, row.wins, row.seen, ms(row.behind_ms_p50), row.wrong]);
  const blocks = answer.blocks.map((block) => {
    const [first, ...others] = block.arrivals;
    const behind = others.map((arrival) => `${arrival.upstream} +${ms(arrival.behind_ms)}`).join(", ");
    const who = first === undefined ? "-" : `${first.upstream} (${first.via})`;
    return [block.height, block.hash.slice(-16), who, behind === "" ? "-" : behind];
  });
  return [
    table(["UPSTREAM", "FIRST", "SEEN", "BEHIND P50 MS", "WRONG"], standings),
    "",
    fittedTable(["HEIGHT", "…HASH", "FIRST", "THEN, MS LATER"], blocks, { columns, cut: { "THEN, MS LATER": "end" } }),
  ].join("\n");
}
