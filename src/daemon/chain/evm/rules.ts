/** Consensus rules of headers: what one shows by itself, and what follows from its parent. Seals and signatures are not checked. */
import type { EvmDetail } from "../../../shared/block.ts";
import type { ErrorCode } from "../../../shared/errors.ts";
import { refuse } from "../refusal.ts";
import type { Refusal } from "../types.ts";
import type { EvmHeader } from "./header.ts";
import { hexOf } from "./json.ts";
import { keccak256 } from "./keccak.ts";
import { evmRulesAt } from "./params.ts";
import { encodeRlp } from "./rlp.ts";
import { EMPTY_TRIE_ROOT } from "./trie.ts";
import type { BlobRule, DifficultyRule, EvmParams, EvmRules } from "./types.ts";

/** The hash of a list without ommers. */
export const NO_OMMERS = hexOf(keccak256(encodeRlp([])));

export const GAS_PER_BLOB = 131_072n;
const MIN_GAS_LIMIT = 5000n;
const MAX_GAS_LIMIT = (1n << 63n) - 1n;
const MIN_DIFFICULTY = 131_072n;
const INITIAL_BASE_FEE = 1_000_000_000n;
/** EIP-7918 */
const BLOB_BASE_COST = 8192n;
const MAX_BLOB_EXPONENT = 100n;
const ZERO_NONCE = "0x0000000000000000";

/** Rules that need no parent; null where all hold. Refuses with SPRINT_EVM_GENESIS, _FORK_FIELDS, _EXTRA_DATA, _GAS_LIMIT, … */
export function checkEvmHeader(header: EvmHeader, params: EvmParams): Refusal | null {
  const { genesisHash: genesis } = params;
  if (header.number === 0) {
    const holds = genesis === null || header.hash === genesis;
    return holds ? null : refuse("SPRINT_EVM_GENESIS", "genesis", genesis, header.hash);
  }
  const rules = evmRulesAt(params, header.number, header.timestamp, header.fields);
  return checkForm(header, rules) ?? checkStake(header, params, rules) ?? checkBlobGas(header, rules.blobs);
}

function checkForm(header: EvmHeader, rules: EvmRules): Refusal | null {
  if (header.fields !== rules.headerFields) {
    return refuse(
      "SPRINT_EVM_FORK_FIELDS",
      `fields of a header under ${rules.fork}`,
      rules.headerFields,
      header.fields,
    );
  }
  const extra = (header.extraData.length - 2) / 2;
  const { min, max } = rules.extraDataBytes;
  if (extra < min || extra > max) return refuse("SPRINT_EVM_EXTRA_DATA", "extraData", `${min} to ${max} bytes`, extra);
  if (header.gasLimit < MIN_GAS_LIMIT || header.gasLimit > MAX_GAS_LIMIT) {
    return refuse("SPRINT_EVM_GAS_LIMIT", "gasLimit", `${MIN_GAS_LIMIT} to 2^63-1`, `${header.gasLimit}`);
  }
  if (header.gasUsed > header.gasLimit) {
    return refuse("SPRINT_EVM_GAS_USED", "gasUsed", `at most the limit, ${header.gasLimit}`, `${header.gasUsed}`);
  }
  if (rules.baseFee?.kind === "zero" && header.baseFeePerGas !== 0n) {
    return refuse("SPRINT_EVM_BASE_FEE", "baseFeePerGas", 0, `${header.baseFeePerGas}`);
  }
  if (rules.withdrawals === "none" && header.withdrawalsRoot !== EMPTY_TRIE_ROOT) {
    return refuse("SPRINT_EVM_WITHDRAWALS_ROOT", "withdrawalsRoot", EMPTY_TRIE_ROOT, `${header.withdrawalsRoot}`);
  }
  return null;
}

/** Fields that lost their meaning when proof of work ended, or never had it. */
function checkStake(header: EvmHeader, params: EvmParams, rules: EvmRules): Refusal | null {
  const range = difficultyRange(rules.difficulty);
  if (header.difficulty < range.min || header.difficulty > range.max) {
    const expected = range.min === range.max ? `${range.min}` : `${range.min} to ${range.max}`;
    return refuse("SPRINT_EVM_DIFFICULTY", `difficulty under ${rules.fork}`, expected, `${header.difficulty}`);
  }
  if (rules.zeroNonce && header.nonce !== ZERO_NONCE)
    return refuse("SPRINT_EVM_NONCE", "nonce", ZERO_NONCE, header.nonce);
  if (!rules.ommers && header.ommersHash !== NO_OMMERS) {
    return refuse("SPRINT_EVM_OMMERS_HASH", "ommers under this consensus: hash", NO_OMMERS, header.ommersHash);
  }
  if (params.slots === null || rules.difficulty.kind === "work") return null;
  const { genesisTime, seconds } = params.slots;
  const into = (header.timestamp - genesisTime) % seconds;
  return into === 0
    ? null
    : refuse("SPRINT_EVM_TIME", "timestamp", `the start of a slot of ${seconds} s`, `${into} s later`);
}

function difficultyRange(rule: DifficultyRule): { readonly min: bigint; readonly max: bigint } {
  return rule.kind === "work" ? { min: MIN_DIFFICULTY, max: 1n << 128n } : rule;
}

function checkBlobGas(header: EvmHeader, rule: BlobRule | null): Refusal | null {
  const { blobGasUsed: used, excessBlobGas: excess } = header;
  if (rule === null || used === null || excess === null) return null;
  if (rule.kind === "market") {
    // beyond that a blob would cost e^100 wei; it also bounds the work of the price
    const most = MAX_BLOB_EXPONENT * rule.updateFraction;
    if (excess > most) return refuse("SPRINT_EVM_EXCESS_BLOB_GAS", "excessBlobGas", `at most ${most}`, `${excess}`);
    if (used % GAS_PER_BLOB === 0n && used <= rule.maxGas) return null;
    return refuse("SPRINT_EVM_BLOB_GAS", "blobGasUsed", `multiples of ${GAS_PER_BLOB} up to ${rule.maxGas}`, `${used}`);
  }
  if (rule.kind === "own") {
    const whole = used % GAS_PER_BLOB === 0n;
    return whole ? null : refuse("SPRINT_EVM_BLOB_GAS", "blobGasUsed", `multiples of ${GAS_PER_BLOB}`, `${used}`);
  }
  const most = rule.kind === "zero" ? 0n : header.gasLimit;
  if (used > most) return refuse("SPRINT_EVM_BLOB_GAS", "blobGasUsed", `at most ${most}`, `${used}`);
  return excess === 0n ? null : refuse("SPRINT_EVM_EXCESS_BLOB_GAS", "excessBlobGas", 0, `${excess}`);
}

/** The one rule that needs a clock; `nowSeconds` is Unix time. */
export function checkEvmFuture(header: EvmHeader, nowSeconds: number, params: EvmParams): Refusal | null {
  const latest = nowSeconds + (params.maxFutureSeconds ?? Number.POSITIVE_INFINITY);
  return header.timestamp <= latest
    ? null
    : refuse("SPRINT_EVM_TIME_TOO_NEW", "timestamp", `at most ${latest}`, header.timestamp);
}

/** What rules need of a parent: what is kept of a block is enough. */
export interface EvmParent extends Pick<
  EvmDetail,
  "ommersHash" | "difficulty" | "gasLimit" | "gasUsed" | "extraData" | "baseFeePerGas" | "blobGasUsed" | "excessBlobGas"
> {
  readonly hash: string;
  readonly number: number;
  readonly timestamp: number;
}

/** Rules that need the parent, which holds itself; null where all hold. */
export function checkEvmContext(header: EvmHeader, parent: EvmParent, params: EvmParams): Refusal | null {
  if (header.parentHash !== parent.hash)
    return refuse("SPRINT_EVM_PARENT", "parentHash", parent.hash, header.parentHash);
  if (header.number !== parent.number + 1)
    return refuse("SPRINT_EVM_NUMBER", "number", parent.number + 1, header.number);
  const rules = evmRulesAt(params, header.number, header.timestamp, header.fields);
  return (
    checkTime(header, parent, rules) ??
    checkGasLimit(header, parent, rules) ??
    same("SPRINT_EVM_BASE_FEE", "baseFeePerGas", baseFeeAfter(parent, rules), header.baseFeePerGas) ??
    same(
      "SPRINT_EVM_EXCESS_BLOB_GAS",
      "excessBlobGas",
      excessBlobGasAfter(parent, rules.blobs),
      header.excessBlobGas,
    ) ??
    same(
      "SPRINT_EVM_DIFFICULTY",
      "difficulty",
      difficultyAfter(header.timestamp, parent, rules.difficulty),
      header.difficulty,
    )
  );
}

function same(code: ErrorCode, what: string, expected: bigint | null, actual: bigint | null): Refusal | null {
  return expected === null || expected === actual ? null : refuse(code, what, `${expected}`, `${actual}`);
}

function checkTime({ timestamp }: EvmHeader, parent: EvmParent, { time }: EvmRules): Refusal | null {
  const after = timestamp - parent.timestamp;
  if (typeof time === "number") {
    return after === time ? null : refuse("SPRINT_EVM_TIME", "timestamp", `${time} s after the parent's`, `${after} s`);
  }
  const least = time === "later" ? 1 : 0;
  return after >= least
    ? null
    : refuse("SPRINT_EVM_TIME", "timestamp", `at least ${parent.timestamp + least}`, timestamp);
}

function checkGasLimit(header: EvmHeader, parent: EvmParent, rules: EvmRules): Refusal | null {
  if (rules.gasLimitDivisor === null) return null;
  // the block that brings EIP-1559 may double its limit, so that the target stays
  const starts = parent.baseFeePerGas === null && rules.baseFee?.kind === "eip1559";
  const before = starts ? parent.gasLimit * rules.baseFee.elasticity : parent.gasLimit;
  const change = header.gasLimit > before ? header.gasLimit - before : before - header.gasLimit;
  const bound = before / rules.gasLimitDivisor;
  if (change < bound) return null;
  return refuse(
    "SPRINT_EVM_GAS_LIMIT",
    "gasLimit",
    `less than ${bound} from the parent's ${before}`,
    `${header.gasLimit}`,
  );
}

/** What the next block's gas costs; null where the chain does not say it by this rule. */
export function baseFeeAfter(parent: EvmParent, rules: EvmRules): bigint | null {
  const rule = rules.baseFee;
  if (rule === null || rule.kind === "own") return null;
  if (rule.kind === "zero") return 0n;
  if (parent.baseFeePerGas === null) return INITIAL_BASE_FEE;
  if (rule.kind === "eip1559") return eip1559(parent.baseFeePerGas, parent.gasUsed, parent.gasLimit, rule);
  // version, denominator, elasticity, and since Jovian the least fee
  const extra = Buffer.from(parent.extraData.slice(2), "hex");
  const [denominator, elasticity] = extra.length >= 9 ? [extra.readUInt32BE(1), extra.readUInt32BE(5)] : [0, 0];
  const zero = denominator === 0 || elasticity === 0;
  const market = zero ? rule : { denominator: BigInt(denominator), elasticity: BigInt(elasticity) };
  const footprint = extra.length >= 17 ? (parent.blobGasUsed ?? 0n) : 0n;
  const metered = parent.gasUsed > footprint ? parent.gasUsed : footprint;
  const fee = eip1559(parent.baseFeePerGas, metered, parent.gasLimit, market);
  const least = extra.length >= 17 ? extra.readBigUInt64BE(9) : 0n;
  return fee < least ? least : fee;
}

interface Market {
  readonly denominator: bigint;
  readonly elasticity: bigint;
}

function eip1559(fee: bigint, gasUsed: bigint, gasLimit: bigint, { denominator, elasticity }: Market): bigint {
  const target = gasLimit / elasticity;
  if (target === 0n || gasUsed === target) return fee;
  if (gasUsed < target) return fee - (fee * (target - gasUsed)) / target / denominator;
  const rise = (fee * (gasUsed - target)) / target / denominator;
  return fee + (rise > 0n ? rise : 1n);
}

/** EIP-4844 and EIP-7918; null where there is no such market. */
export function excessBlobGasAfter(parent: EvmParent, rule: BlobRule | null): bigint | null {
  if (rule === null || rule.kind !== "market") return null;
  const { excessBlobGas: excess, blobGasUsed: used, baseFeePerGas } = parent;
  if (excess === null || used === null) return 0n;
  if (excess + used < rule.targetGas) return 0n;
  const reserve =
    rule.reserve && BLOB_BASE_COST * (baseFeePerGas ?? 0n) > GAS_PER_BLOB * blobBaseFee(excess, rule.updateFraction);
  if (reserve) return excess + (used * (rule.maxGas - rule.targetGas)) / rule.maxGas;
  return excess + used - rule.targetGas;
}

/** EIP-4844, `fake_exponential` with a least fee of 1 wei. */
export function blobBaseFee(excess: bigint, updateFraction: bigint): bigint {
  let sum = 0n;
  let term = updateFraction;
  for (let i = 1n; term > 0n; i++) {
    sum += term;
    term = (term * excess) / (updateFraction * i);
  }
  return sum / updateFraction;
}

/** Proof of work's difficulty; null where the chain has none. Yellow Paper, EIP-2, EIP-100, and the delays of the bomb. */
function difficultyAfter(timestamp: number, parent: EvmParent, rule: DifficultyRule): bigint | null {
  if (rule.kind !== "work") return null;
  const after = timestamp - parent.timestamp;
  const step = parent.difficulty / 2048n;
  const most = parent.ommersHash === NO_OMMERS ? 1 : 2;
  const turns = {
    frontier: after < 13 ? 1 : -1,
    homestead: Math.max(1 - Math.floor(after / 10), -99),
    byzantium: Math.max(most - Math.floor(after / 9), -99),
  }[rule.formula];
  const moved = parent.difficulty + step * BigInt(turns);
  const floored = moved < MIN_DIFFICULTY ? MIN_DIFFICULTY : moved;
  const period = Math.floor(Math.max(0, parent.number + 1 - rule.bombDelay) / 100_000);
  return period > 1 ? floored + (1n << BigInt(period - 2)) : floored;
}
