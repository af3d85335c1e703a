/**
 * Rules of a header that need its ancestors (`ContextualCheckBlockHeader` and `GetNextWorkRequired` of the three nodes).
 * Where a chain starts from a checkpoint and too few ancestors are known, the exact rule is skipped and, for a retarget on
 * networks without minimum-difficulty blocks, the widest change that any ancestors could justify is checked instead.
 */
import { baseVersionOf, hasAuxPowVersion, isLegacyVersion } from "./auxpow.ts";
import { refuse } from "./refusal.ts";
import type { Ancestor, UtxoHeader, HeaderRules, Refusal, RetargetRule } from "./types.ts";
import { compactBits, expandBits, hexBits } from "./work.ts";

const MEDIAN_TIME_SPAN = 11;
/** BIP94: how far the first block of a period may lie before the last of the one before. */
const MAX_TIMEWARP_SECONDS = 600;

/** Null where the header may follow `parent`; `nowSeconds` is Unix time. */
export function checkContext(
  header: UtxoHeader,
  parent: Ancestor,
  nowSeconds: number,
  rules: HeaderRules,
): Refusal | null {
  if (header.parentHash !== parent.block.hash) {
    return refuse("SPRINT_HEADER_PARENT", "hash of the parent", parent.block.hash, header.parentHash);
  }
  const height = parent.block.height + 1;
  return (
    checkEra(header, height, rules) ??
    checkBits(header, parent, rules) ??
    checkTime(header, parent, nowSeconds, rules) ??
    checkVersion(header, height, rules)
  );
}

/** Merged mining and the versions from before it exclude each other at each height. */
function checkEra(header: UtxoHeader, height: number, rules: HeaderRules): Refusal | null {
  if (rules.auxpow === null) return null;
  const { startHeight } = rules.auxpow;
  if (height < startHeight && hasAuxPowVersion(header.version)) {
    return refuse("SPRINT_HEADER_AUXPOW_EARLY", "height of an AuxPoW block", `at least ${startHeight}`, height);
  }
  if (height >= startHeight && isLegacyVersion(header.version)) {
    const expected = `one that names chain ${rules.auxpow.chainId}`;
    return refuse("SPRINT_HEADER_LEGACY_LATE", `version at height ${height}`, expected, header.version, { height });
  }
  return null;
}

function checkBits(header: UtxoHeader, parent: Ancestor, rules: HeaderRules): Refusal | null {
  const height = parent.block.height + 1;
  const expected = nextBits(parent, header.time, rules);
  if (typeof expected === "number") {
    return header.bits === expected ? null : refuseBits(hexBits(expected), header, height);
  }
  if (expected === null) return null;
  const target = expandBits(header.bits) ?? 0n;
  if (target >= expected.hardest && target <= expected.easiest) return null;
  const range = `${hexBits(compactBits(expected.hardest))} to ${hexBits(compactBits(expected.easiest))}`;
  return refuseBits(range, header, height);
}

function refuseBits(expected: string, header: UtxoHeader, height: number): Refusal {
  return refuse("SPRINT_HEADER_BITS", `bits at height ${height}`, expected, hexBits(header.bits), { height });
}

/** Bounds on a target whose exact value needs ancestors that are not known. */
interface TargetRange {
  readonly hardest: bigint;
  readonly easiest: bigint;
}

/** The bits that a child of `parent` with this time must carry, as far as the known ancestors say. */
export function nextBits(parent: Ancestor, time: number, rules: HeaderRules): number | TargetRange | null {
  const { retarget, powLimit } = rules;
  switch (retarget.kind) {
    case "none":
      return bitsOf(parent);
    case "window":
      return windowBits(parent, time, powLimit, retarget, { shortest: 4, longest: 4 });
    case "dogecoin": {
      const height = parent.block.height + 1;
      return height >= retarget.digishieldHeight
        ? digishieldBits(parent, time, powLimit, retarget)
        : windowBits(parent, time, powLimit, { ...retarget, fullWindow: true, bip94: false }, earlyClamp(height));
    }
  }
}

/** By how much a period may seem shorter or longer than planned. */
interface Clamp {
  readonly shortest: number;
  readonly longest: number;
}

/** Dogecoin let the difficulty of its first blocks rise faster. */
function earlyClamp(height: number): Clamp {
  const shortest = height > 10_000 ? 4 : height > 5_000 ? 8 : 16;
  return { shortest, longest: 4 };
}

type WindowRule = Pick<
  Extract<RetargetRule, { kind: "window" }>,
  "intervalBlocks" | "timespanSeconds" | "fullWindow" | "bip94" | "minDifficultyAfterSeconds"
>;

function windowBits(
  parent: Ancestor,
  time: number,
  powLimit: bigint,
  rule: WindowRule,
  clamp: Clamp,
): number | TargetRange | null {
  const { intervalBlocks, timespanSeconds, minDifficultyAfterSeconds } = rule;
  const height = parent.block.height + 1;
  if (height % intervalBlocks !== 0) {
    if (minDifficultyAfterSeconds === null) return bitsOf(parent);
    const limitBits = compactBits(powLimit);
    if (time > parent.block.timestamp + minDifficultyAfterSeconds) return limitBits;
    return lastOrdinaryBits(parent, intervalBlocks, limitBits);
  }

  const shortest = timespanSeconds / clamp.shortest;
  const longest = timespanSeconds * clamp.longest;
  const isFirstRetarget = height === intervalBlocks;
  const first = ancestorAt(parent, height - intervalBlocks - (rule.fullWindow && !isFirstRetarget ? 1 : 0));
  if (first === null) {
    if (minDifficultyAfterSeconds !== null) return null;
    return targetRange(bitsOf(parent), shortest, longest, timespanSeconds, powLimit);
  }
  const actual = parent.block.timestamp - first.block.timestamp;
  const measured = Math.min(Math.max(actual, shortest), longest);
  // Under BIP94 the last block may be a minimum-difficulty one; the first never is.
  const base = rule.bip94 ? bitsOf(first) : bitsOf(parent);
  return compactBits(scaleTarget(base, measured, timespanSeconds, powLimit));
}

/** DigiShield: each block retargets by its parent's own time, damped eightfold. */
function digishieldBits(
  parent: Ancestor,
  time: number,
  powLimit: bigint,
  rule: Extract<RetargetRule, { kind: "dogecoin" }>,
): number | TargetRange {
  const { minDifficultyAfterSeconds, minDifficultyHeight, digishieldTimespanSeconds: planned } = rule;
  if (
    minDifficultyAfterSeconds !== null &&
    parent.block.height >= minDifficultyHeight &&
    time > parent.block.timestamp + minDifficultyAfterSeconds
  ) {
    return compactBits(powLimit);
  }
  const shortest = planned - Math.floor(planned / 4);
  const longest = planned + Math.floor(planned / 2);
  if (parent.parent === null) return targetRange(bitsOf(parent), shortest, longest, planned, powLimit);
  const actual = parent.block.timestamp - parent.parent.block.timestamp;
  const damped = planned + Math.trunc((actual - planned) / 8);
  const measured = Math.min(Math.max(damped, shortest), longest);
  return compactBits(scaleTarget(bitsOf(parent), measured, planned, powLimit));
}

/** Bits of the last block that did not use the minimum-difficulty rule; null where it is not known any more. */
function lastOrdinaryBits(from: Ancestor, intervalBlocks: number, limitBits: number): number | null {
  let node = from;
  while (node.block.height % intervalBlocks !== 0 && bitsOf(node) === limitBits) {
    if (node.parent === null) return null;
    node = node.parent;
  }
  return bitsOf(node);
}

/** The trees of this family hold no others' blocks. */
function bitsOf({ block }: Ancestor): number {
  if (block.detail.family === "utxo") return block.detail.bits;
  throw new TypeError(`expected a block of the Bitcoin family, got ${block.hash} of ${block.detail.family}`);
}

function ancestorAt(from: Ancestor, height: number): Ancestor | null {
  let node: Ancestor | null = from;
  while (node !== null && node.block.height > height) node = node.parent;
  return node;
}

function scaleTarget(bits: number, measured: number, planned: number, powLimit: bigint): bigint {
  const target = ((expandBits(bits) ?? 0n) * BigInt(measured)) / BigInt(planned);
  return target > powLimit ? powLimit : target;
}

/** Rounded as bits are, so that the bounds themselves are allowed. */
function targetRange(bits: number, shortest: number, longest: number, planned: number, powLimit: bigint): TargetRange {
  const rounded = (measured: number): bigint =>
    expandBits(compactBits(scaleTarget(bits, measured, planned, powLimit))) ?? 0n;
  return { hardest: rounded(shortest), easiest: rounded(longest) };
}

function checkTime(header: UtxoHeader, parent: Ancestor, nowSeconds: number, rules: HeaderRules): Refusal | null {
  const median = medianTimePast(parent);
  if (median !== null && header.time <= median) {
    return refuse(
      "SPRINT_HEADER_TIME_TOO_OLD",
      "time",
      `later than the median of the last 11 blocks, ${median}`,
      header.time,
    );
  }
  const { retarget } = rules;
  if (retarget.kind === "window" && retarget.bip94 && (parent.block.height + 1) % retarget.intervalBlocks === 0) {
    const earliest = parent.block.timestamp - MAX_TIMEWARP_SECONDS;
    if (header.time < earliest) {
      return refuse("SPRINT_HEADER_TIMEWARP", "time of a period's first block", `at least ${earliest}`, header.time);
    }
  }
  const latest = nowSeconds + rules.maxFutureSeconds;
  if (header.time > latest) {
    return refuse(
      "SPRINT_HEADER_TIME_TOO_NEW",
      "time",
      `at most ${latest} (our clock and ${rules.maxFutureSeconds} s)`,
      header.time,
    );
  }
  return null;
}

/** Median time of `node` and the ten before it; null where fewer are known although the chain has more. */
export function medianTimePast(node: Ancestor): number | null {
  const times: number[] = [];
  let oldest = node;
  for (let next: Ancestor | null = node; next !== null && times.length < MEDIAN_TIME_SPAN; next = next.parent) {
    times.push(next.block.timestamp);
    oldest = next;
  }
  if (times.length < MEDIAN_TIME_SPAN && oldest.block.height !== 0) return null;
  times.sort((a, b) => a - b);
  return times[times.length >> 1] as number;
}

function checkVersion(header: UtxoHeader, height: number, rules: HeaderRules): Refusal | null {
  const version = rules.auxpow === null ? header.version : baseVersionOf(header.version);
  for (const floor of rules.versionFloors) {
    if (height >= floor.height && version < floor.version) {
      return refuse("SPRINT_HEADER_VERSION", `version at height ${height}`, `at least ${floor.version}`, version, {
        height,
      });
    }
  }
  return null;
}
