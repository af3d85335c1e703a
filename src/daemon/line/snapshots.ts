/** What stats need and no block tells: mempools, and who votes on Solana. Asked now and then, one question of a kind at a time; what fails is left. */
import type { ChainLine } from "./line.ts";
import type { EpochSnapshot, MempoolSnapshot, Validator } from "../stats/index.ts";

/** Of one question, whoever answers. */
const TIMEOUT_MS = 10_000;
/** Rounds between two looks at who votes: the answer is megabytes on mainnet. */
const VOTES_EVERY = 6;

export interface SnapshotsModules {
  readonly lines: () => readonly ChainLine[];
  readonly onTrouble: (line: ChainLine, doing: string, error: unknown) => void;
}

/** One round; a line whose last round is still under way is left out. */
export function createSnapshots({ lines, onTrouble }: SnapshotsModules): () => void {
  const busy = new WeakSet<ChainLine>();
  let round = 0;
  return () => {
    const isVoteRound = round++ % VOTES_EVERY === 0;
    for (const line of lines()) {
      if (busy.has(line) || !line.ingest.isLive) continue;
      const looks = looksAt(line, isVoteRound);
      if (looks.length === 0) continue;
      busy.add(line);
      void Promise.all(
        looks.map(({ doing, look }) => look().catch((error: unknown) => onTrouble(line, doing, error))),
      ).then(() => busy.delete(line));
    }
  };
}

interface Look {
  readonly doing: string;
  readonly look: () => Promise<void>;
}

function looksAt(line: ChainLine, isVoteRound: boolean): readonly Look[] {
  const { stats, codec } = line;
  if (codec.family === "utxo") return [{ doing: "looking at a mempool", look: () => lookAtMempool(line) }];
  if (codec.family !== "svm") return [];
  const epoch = async (): Promise<void> => stats.epoch(epochOf(await asked(line, "getEpochInfo")));
  const votes = async (): Promise<void> =>
    stats.votes({ validators: validatorsOf(await asked(line, "getVoteAccounts")) });
  return [
    { doing: "asking for the epoch", look: epoch },
    ...(isVoteRound ? [{ doing: "asking who votes", look: votes }] : []),
  ];
}

/** Of the first upstream that has one to show; where they have peers' connections only, its size through the proxy. */
async function lookAtMempool(line: ChainLine): Promise<void> {
  const { feeds, stats } = line;
  const able = feeds().find(
    (feed) => feed.mempool !== undefined && feed.kind !== "p2p" && feed.status().state === "up",
  );
  if (able?.mempool !== undefined) stats.mempool(await able.mempool(AbortSignal.timeout(TIMEOUT_MS)));
  else if (feeds().some(({ kind }) => kind === "p2p")) stats.mempool(sizeOf(await asked(line, "getmempoolinfo")));
  else stats.mempool(null);
}

const UNITS_PER_COIN = 100_000_000;

function sizeOf(value: unknown): MempoolSnapshot {
  const { size, bytes, mempoolminfee: least } = value as Record<string, unknown>;
  // of a thousand virtual bytes, in coins
  const minFeeRate = typeof least === "number" ? (least * UNITS_PER_COIN) / 1_000 : null;
  return { transactions: whole(size), bytes: whole(bytes), minFeeRate, histogram: [], template: null };
}

/** Through the proxy: with its choice of upstream, its breakers and its bounds. */
async function asked({ rpc }: ChainLine, method: string): Promise<unknown> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method });
  const reply = await rpc.handle(body, AbortSignal.timeout(TIMEOUT_MS));
  const { result, error } = JSON.parse(reply.body) as { result?: unknown; error?: { message?: unknown } };
  if (result === undefined || result === null) throw new Error(`${method}: ${String(error?.message ?? "no result")}`);
  return result;
}

function epochOf(value: unknown): EpochSnapshot {
  const { epoch, slotIndex, slotsInEpoch, absoluteSlot } = value as Record<keyof EpochSnapshot, unknown>;
  return {
    epoch: whole(epoch),
    slotIndex: whole(slotIndex),
    slotsInEpoch: whole(slotsInEpoch),
    absoluteSlot: whole(absoluteSlot),
  };
}

/** At most so many are looked at; mainnet has some 1,500. */
const MAX_VALIDATORS = 10_000;

function validatorsOf(value: unknown): readonly Validator[] {
  const { current, delinquent } = value as { current?: unknown; delinquent?: unknown };
  const read = (list: unknown, isDelinquent: boolean): Validator[] =>
    (Array.isArray(list) ? list.slice(0, MAX_VALIDATORS) : []).map((each: Record<string, unknown>) => ({
      vote: String(each["votePubkey"]),
      node: String(each["nodePubkey"]),
      stakeLamports: BigInt(whole(each["activatedStake"])),
      delinquent: isDelinquent,
    }));
  return [...read(current, false), ...read(delinquent, true)];
}

/** JSON gives stakes as doubles: beyond 2^53 lamports, nine million SOL, the last digits are the node's rounding. */
function whole(value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw new Error(`expected a whole number, got ${JSON.stringify(value)}`);
}
