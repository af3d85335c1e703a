/** What comes of a transaction: the few programs that the devnet has, with the fees, errors and logs of the real ones. */
import { SVM_PROGRAM } from "./svm-keys.ts";
import { SYSTEM_TRANSFER, type SvmTransaction, readBallot } from "./svm-transactions.ts";

export interface SvmAccount {
  readonly lamports: number;
  readonly owner: string;
  readonly executable: boolean;
  /** Of a vote account: whose it is, and what was voted for last. */
  readonly vote: { readonly identity: string; readonly lastSlot: number } | null;
}

export interface SvmAccounts {
  get(address: string): SvmAccount | undefined;
  set(address: string, account: SvmAccount): void;
}

/** As in `meta` of getBlock. */
export interface SvmOutcome {
  /** `TransactionError` of the reference validator as its JSON is; null where all went well. */
  readonly err: unknown;
  readonly fee: number;
  readonly logs: readonly string[];
  readonly preBalances: readonly number[];
  readonly postBalances: readonly number[];
  readonly computeUnits: number;
}

/** As it is kept, by the thousand: what is in its bytes is read again where it is asked for. */
export interface ExecutedTransaction extends Pick<SvmTransaction, "bytes" | "signature" | "keys" | "vote"> {
  readonly outcome: SvmOutcome;
}

export const LAMPORTS_PER_SIGNATURE = 5_000;
/** What an account without data must hold to stay (3,480 lamports a byte and year, two years, 128 bytes of its own). */
export const RENT_EXEMPT_LAMPORTS = 890_880;
const UNITS_LIMIT = 200_000;
const UNITS: Readonly<Record<string, number>> = {
  [SVM_PROGRAM.SYSTEM]: 150,
  [SVM_PROGRAM.VOTE]: 2_100,
  [SVM_PROGRAM.MEMO]: 4_800,
};
/** `SystemError::ResultWithNegativeLamports` */
const NEGATIVE_LAMPORTS = 1;

/** Changes `accounts`. Null where it cannot pay its fee: no block takes such a one. */
export function execute(transaction: SvmTransaction, accounts: SvmAccounts): ExecutedTransaction | null {
  const fee = LAMPORTS_PER_SIGNATURE * transaction.signatures.length;
  const payer = transaction.keys[0] as string;
  const before = accounts.get(payer);
  if (before === undefined || before.owner !== SVM_PROGRAM.SYSTEM || before.lamports < fee) return null;
  const balances = (from: SvmAccounts): number[] => transaction.keys.map((key) => from.get(key)?.lamports ?? 0);
  const preBalances = balances(accounts);
  accounts.set(payer, { ...before, lamports: before.lamports - fee });
  const run = runAll(transaction, accounts);
  const outcome = { ...run, fee, preBalances, postBalances: balances(accounts) };
  const { bytes, signature, keys, vote } = transaction;
  // A copy of its own: one within a pool of buffers keeps the whole of that.
  return { bytes: new Uint8Array(bytes), signature, keys, vote, outcome };
}

/** What a block could not hold is not kept: only a run without an error reaches `accounts`. */
function runAll(transaction: SvmTransaction, accounts: SvmAccounts): Pick<SvmOutcome, "err" | "logs" | "computeUnits"> {
  const changed = new Map<string, SvmAccount>();
  const draft: SvmAccounts = {
    get: (address) => changed.get(address) ?? accounts.get(address),
    set: (address, account) => changed.set(address, account),
  };
  const logs: string[] = [];
  let computeUnits = 0;
  for (const [index, instruction] of transaction.message.instructions.entries()) {
    const program = transaction.keys[instruction.program] as string;
    const units = UNITS[program];
    if (units === undefined) return { err: { InstructionError: [index, "UnsupportedProgramId"] }, logs, computeUnits };
    computeUnits += units;
    logs.push(invoked(program));
    const named = [...instruction.accounts].map((account) => transaction.keys[account] ?? "");
    const failure = PROGRAMS[program]?.(instruction.data, named, draft, logs) ?? null;
    if (program === SVM_PROGRAM.MEMO) logs.push(`Program ${program} consumed ${units} of ${UNITS_LIMIT} compute units`);
    if (failure !== null) {
      logs.push(`Program ${program} failed: ${failure.text}`);
      return { err: { InstructionError: [index, failure.error] }, logs, computeUnits };
    }
    logs.push(succeeded(program));
  }
  const poor = transaction.keys.findIndex((key) => isBelowRent(changed.get(key)));
  if (poor >= 0) return { err: { InsufficientFundsForRent: { account_index: poor } }, logs, computeUnits };
  for (const [address, account] of changed) accounts.set(address, account);
  return { err: null, logs, computeUnits };
}

/** One string for all that hold it. */
const INVOKED = new Map(Object.keys(UNITS).map((program) => [program, `Program ${program} invoke [1]`]));
const SUCCEEDED = new Map(Object.keys(UNITS).map((program) => [program, `Program ${program} success`]));
const invoked = (program: string): string => INVOKED.get(program) ?? "";
const succeeded = (program: string): string => SUCCEEDED.get(program) ?? "";

function isBelowRent(account: SvmAccount | undefined): boolean {
  return account !== undefined && account.lamports > 0 && account.lamports < RENT_EXEMPT_LAMPORTS;
}

interface Failure {
  readonly error: unknown;
  readonly text: string;
}

type Program = (data: Uint8Array, accounts: readonly string[], state: SvmAccounts, logs: string[]) => Failure | null;

const INVALID_DATA: Failure = { error: "InvalidInstructionData", text: "invalid instruction data" };

const PROGRAMS: Readonly<Record<string, Program>> = {
  [SVM_PROGRAM.SYSTEM](data, [from, to], state, logs) {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
    if (bytes.length !== 12 || bytes.readUInt32LE(0) !== SYSTEM_TRANSFER) return INVALID_DATA;
    if (from === undefined || to === undefined) {
      return { error: "NotEnoughAccountKeys", text: "insufficient account keys for instruction" };
    }
    const lamports = bytes.readBigUInt64LE(4);
    const source = state.get(from) ?? EMPTY;
    if (lamports > BigInt(source.lamports)) {
      logs.push(`Transfer: insufficient lamports ${source.lamports}, need ${lamports}`);
      return { error: { Custom: NEGATIVE_LAMPORTS }, text: "custom program error: 0x1" };
    }
    state.set(from, { ...source, lamports: source.lamports - Number(lamports) });
    const target = state.get(to) ?? EMPTY;
    state.set(to, { ...target, lamports: target.lamports + Number(lamports) });
    return null;
  },
  [SVM_PROGRAM.VOTE](data, [address], state) {
    const ballot = readBallot(data);
    const account = address === undefined ? undefined : state.get(address);
    if (ballot === null) return INVALID_DATA;
    if (address === undefined || account === undefined || account.vote === null) {
      return { error: "InvalidAccountOwner", text: "Invalid account owner" };
    }
    state.set(address, { ...account, vote: { ...account.vote, lastSlot: Math.max(...ballot.slots) } });
    return null;
  },
  [SVM_PROGRAM.MEMO](data, _accounts, _state, logs) {
    const memo = Buffer.from(data).toString("utf8");
    logs.push(`Program log: Memo (len ${data.length}): ${JSON.stringify(memo)}`);
    return null;
  },
};

const EMPTY: SvmAccount = { lamports: 0, owner: SVM_PROGRAM.SYSTEM, executable: false, vote: null };
