/** What users of Solana watch, as rows. */
import type { SvmStatsBody } from "../../shared/api.ts";
import { bar, coins, counted, gauge, grouped, percent, span, threeFigures } from "./figurestext.ts";
import type { Group, Row } from "./statsrows.ts";

const BAR = 24;
const MAX_LEADERS = 8;
const LAMPORT_DECIMALS = 9;

export function svmGroups(body: SvmStatsBody): readonly Group[] {
  return [
    { head: "Slots", rows: slotRows(body) },
    { head: `Blocks, of the last ${body.blocks_read} read`, rows: blockRows(body) },
    { head: "Validators", rows: validatorRows(body) },
    { head: "Leaders, the last to lead first", rows: leaderRows(body) },
  ];
}

function slotRows({ slot, epoch, slot_time_ms: slotTime, skipped }: SvmStatsBody): Row[] {
  const left = epoch === null || epoch.seconds_left === null ? "" : `, ${span(epoch.seconds_left)} left`;
  const time = slotTime === null ? "" : `, one in ${Math.round(slotTime)} ms`;
  return [
    ["slot", slot === null ? null : `${grouped(slot)}${time}`],
    [
      "epoch",
      epoch === null
        ? null
        : `${gauge(epoch.progress, BAR)}  ${percent(epoch.progress)} of epoch ${grouped(epoch.epoch)}${left}`,
    ],
    [
      "skipped",
      skipped === null
        ? null
        : `${gauge(skipped.rate, BAR)}  ${percent(skipped.rate)}, ${grouped(skipped.skipped)} of ${counted(skipped.slots, "slot")}`,
    ],
  ];
}

function blockRows({
  tps,
  fees_lamports: fees,
  compute_units: compute,
  pending_per_second: pending,
}: SvmStatsBody): Row[] {
  const kinds =
    tps === null || tps.votes === null || tps.non_votes === null
      ? ""
      : `: ${threeFigures(tps.votes)} votes, ${threeFigures(tps.non_votes)} others`;
  const failed = tps === null || tps.failed_share === null ? "" : `; ${percent(tps.failed_share)} failed`;
  return [
    [
      "transactions",
      tps === null ? null : `${threeFigures(tps.total)} a second over ${span(tps.seconds)}${kinds}${failed}`,
    ],
    ["fees", fees === null ? null : `last ${sol(fees.last)}, mean ${sol(fees.mean)} SOL`],
    ["compute units", compute === null ? null : `last ${grouped(compute.last)}, mean ${grouped(compute.mean)}`],
    ["heard pending", pending === null ? null : `${threeFigures(pending)} a second`],
  ];
}

function sol(lamports: string): string {
  return coins(lamports, LAMPORT_DECIMALS);
}

function validatorRows({ validators }: SvmStatsBody): Row[] {
  if (validators === null) return [["not known", "no upstream has told its vote accounts yet"]];
  const { count, delinquent, stake_lamports: stake, delinquent_stake_share: share, changes } = validators;
  const told =
    changes === null
      ? null
      : {
          joined: changes.joined.count,
          left: changes.left.count,
          "became delinquent": changes.became_delinquent.count,
          recovered: changes.recovered.count,
          "with other stake": changes.moved.count,
        };
  const parts = Object.entries(told ?? {}).filter(([, number]) => number > 0);
  return [
    ["voting", `${grouped(count)}, stake ${sol(stake)} SOL`],
    ["delinquent", `${grouped(delinquent)}, ${percent(share)} of the stake`],
    [
      "last changes",
      told === null
        ? null
        : parts.length === 0
          ? "none"
          : parts.map(([name, number]) => `${grouped(number)} ${name}`).join(", "),
    ],
  ];
}

function leaderRows({ leaders }: SvmStatsBody): Row[] {
  const shown = leaders.slice(0, MAX_LEADERS);
  const most = Math.max(1, ...shown.map(({ blocks }) => blocks));
  return shown.map(({ leader, blocks, last_slot: last }) => [
    leader,
    `${bar(blocks / most, 10).padEnd(10)}  ${counted(blocks, "block")}, last in slot ${grouped(last)}`,
  ]);
}
