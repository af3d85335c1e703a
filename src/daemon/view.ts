/** What the live view shows, as daemon.ts tells it when asked. Wall times are Unix ms. */
import type { Chain } from "../shared/chain.ts";
import type { Phase } from "../shared/events.ts";
import { redactText } from "../shared/redact.ts";
import type { Tier } from "../shared/tier.ts";
import type { BreakerReport } from "./breaker/index.ts";

export interface DaemonView {
  readonly network: string;
  /** Who makes devnet's Ethereum blocks: the embedded producer where anvil is missing. Null: no Ethereum of devnet runs. */
  readonly ethereum: "anvil" | "embedded" | null;
  readonly startedAt: number;
  readonly tiers: readonly TierView[];
  readonly chains: readonly ChainView[];
  readonly upstreams: readonly UpstreamView[];
  readonly breakers: readonly BreakerLine[];
  /** Null before the first delivery. */
  readonly relayMs: { readonly p50: number; readonly p99: number; readonly count: number } | null;
}

export interface TierView {
  readonly tier: Tier;
  readonly url: string;
  readonly subscribers: number;
}

export interface ChainView {
  readonly chain: Chain;
  readonly network: string;
  /** Null until the first block is known. `at`: when it came in, `phase`: how far it is proved. */
  readonly tip: { readonly height: number; readonly hash: string; readonly at: number; readonly phase: Phase } | null;
  readonly status: "synced" | "syncing" | "down";
  readonly relayed: number;
  readonly reorgs: number;
}

export interface UpstreamView {
  readonly name: string;
  readonly chain: Chain;
  readonly state: string;
  readonly agent: string | null;
  readonly height: number | null;
  /** Blocks that it announced before all others. */
  readonly firsts: number;
  /** Why it is out or down, null while it is well. */
  readonly trouble: string | null;
}

export interface BreakerLine {
  readonly name: string;
  readonly state: BreakerReport["status"]["state"];
  /** Who forces it and why, how far it is on its way back, or the last error; null while it is closed. */
  readonly note: string | null;
}

/** What devnet is, for the banner; `short` for a line of 80 letters. */
export function devnetText({ ethereum }: Pick<DaemonView, "ethereum">, short = false): string {
  const what = "devnet: embedded nodes, no real blocks";
  if (ethereum === null) return what;
  if (short) return `${what}; ${ethereum === "anvil" ? "with anvil" : "no anvil"}`;
  return `${what}; Ethereum: ${ethereum === "anvil" ? "anvil" : "an embedded producer, as anvil is missing"}`;
}

export function breakerLine({
  name,
  status,
  lastError,
}: Pick<BreakerReport, "name" | "status" | "lastError">): BreakerLine {
  return { name, state: status.state, note: noteOf(status, lastError) };
}

function noteOf(status: BreakerReport["status"], lastError: string | null): string | null {
  switch (status.state) {
    case "closed":
      return null;
    case "open":
      return lastError === null ? null : redactText(lastError);
    case "half_open":
      return status.ramp === null ? "probing" : `lets ${Math.round(status.ramp * 100)} % pass`;
    default:
      return redactText(`by ${status.force.owner}: ${status.force.reason}`);
  }
}
