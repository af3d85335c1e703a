/**
 * Where the difficulty goes. Targets are what the rules of `GetNextWorkRequired` and `CalculateDogecoinNextWorkRequired` scale by
 * time; the difficulty goes the other way.
 */
import type { Block } from "../../shared/block.ts";
import type { RetargetStats } from "../../shared/stats-api.ts";
import { rfc3339 } from "./figures.ts";
import type { Retarget } from "./types.ts";

/** The target of difficulty 1, on all three chains. */
const EASIEST = 0xffffn << 208n;
/** A period may scale the target fourfold, either way. */
const CLAMP = 4;

/** As `getdifficulty` says it. */
export function difficultyOf(target: bigint): number {
  return Number(EASIEST) / Number(target);
}

/** Expected hashes to find a block with this target. */
export function workOf(target: bigint): bigint {
  return (1n << 256n) / (target + 1n);
}

/** As a chain's header rules have it. */
export interface DifficultyRule {
  readonly retarget: Retarget;
  /** The easiest target allowed. */
  readonly powLimit: bigint;
}

type Change = Pick<RetargetStats, "change_percent" | "difficulty">;
type Scale = (spanSeconds: number, plannedSeconds: number) => Change;

/**
 * The next change after `tip`; `at` finds blocks of the best chain by height, null where they are not known any more. Null where
 * bits never change.
 */
export function nextRetarget(
  tip: Block,
  target: bigint,
  { retarget, powLimit }: DifficultyRule,
  at: (height: number) => Block | null,
): RetargetStats | null {
  if (retarget.kind === "none") return null;
  const scale = (span: number, planned: number) => scaled(target, span, planned, powLimit);
  if (retarget.kind === "window") return nextOfWindow(tip, retarget, at, scale);
  return tip.height + 1 >= retarget.digishieldHeight ? nextOfDigishield(tip, retarget, at, scale) : null;
}

function nextOfWindow(
  tip: Block,
  rule: Extract<Retarget, { kind: "window" }>,
  at: (height: number) => Block | null,
  scale: Scale,
): RetargetStats {
  const { intervalBlocks, timespanSeconds } = rule;
  const height = tip.height + intervalBlocks - (tip.height % intervalBlocks);
  const periodStart = height - intervalBlocks;
  // the first period has no block before it to be measured from
  const wholeWindow = rule.fullWindow && periodStart > 0;
  const first = at(periodStart - (wholeWindow ? 1 : 0));
  const intervals = intervalBlocks - (wholeWindow ? 0 : 1);
  const measured = first === null ? 0 : tip.height - first.height;
  const next = { height, blocks_left: height - tip.height };
  // a period's last block may be one of minimum difficulty, whose bits say nothing about the next
  if (first === null || measured === 0 || rule.minDifficultyAfterSeconds !== null) return unknownChange(next);
  const elapsed = tip.timestamp - first.timestamp;
  const pace = elapsed / measured;
  const projected = Math.round((elapsed * intervals) / measured);
  const span = Math.min(Math.max(projected, timespanSeconds / CLAMP), timespanSeconds * CLAMP);
  return {
    ...next,
    ...scale(span, timespanSeconds),
    measured_intervals: measured,
    exact: next.blocks_left === 1,
    expected_at: pace > 0 ? rfc3339(tip.timestamp + pace * next.blocks_left) : null,
  };
}

/** Each block, by the time that its parent took, damped eightfold. */
function nextOfDigishield(
  tip: Block,
  rule: Extract<Retarget, { kind: "dogecoin" }>,
  at: (height: number) => Block | null,
  scale: Scale,
): RetargetStats {
  const planned = rule.digishieldTimespanSeconds;
  const next = { height: tip.height + 1, blocks_left: 1 };
  const parent = at(tip.height - 1);
  if (parent === null || rule.minDifficultyAfterSeconds !== null) return unknownChange(next);
  const damped = planned + Math.trunc((tip.timestamp - parent.timestamp - planned) / 8);
  const span = Math.min(Math.max(damped, planned - Math.floor(planned / 4)), planned + Math.floor(planned / 2));
  return {
    ...next,
    ...scale(span, planned),
    measured_intervals: 1,
    exact: true,
    expected_at: rfc3339(tip.timestamp + planned),
  };
}

function scaled(target: bigint, spanSeconds: number, plannedSeconds: number, powLimit: bigint): Change {
  const eased = (target * BigInt(spanSeconds)) / BigInt(plannedSeconds);
  const difficulty = difficultyOf(eased > powLimit ? powLimit : eased);
  return { change_percent: (difficulty / difficultyOf(target) - 1) * 100, difficulty };
}

function unknownChange(next: Pick<RetargetStats, "height" | "blocks_left">): RetargetStats {
  return { ...next, change_percent: null, difficulty: null, measured_intervals: 0, exact: false, expected_at: null };
}
