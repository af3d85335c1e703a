/** What the Solana node can be asked over HTTP of the network: who leads, votes and holds stakes, epochs and how fast it goes. */
import {
  ADDRESS_BYTES,
  base58In,
  booleanIn,
  commitmentIn,
  configIn,
  invalidParams,
  listIn,
  numberIn,
  optionalNumberIn,
} from "./svm-arguments.ts";
import type { SvmBank } from "./svm-bank.ts";
import type { SvmValidator } from "./svm-keys.ts";
import type { SvmLedger } from "./svm-ledger.ts";
import type { SvmView } from "./svm-lies.ts";

type ClusterMethod = (params: readonly unknown[], modules: { readonly view: SvmView }) => unknown;

export const SVM_AGENT = "3.0.0-devnet";
const MAX_LEADERS = 5_000;
const MAX_SAMPLES = 720;
/** Real ones have 60; a node that has just begun would tell nothing for that long. */
const SAMPLE_SECONDS = 10;
const MAX_FEE_BLOCKS = 150;
const MAX_FEE_ADDRESSES = 128;
/** `DELINQUENT_VALIDATOR_SLOT_DISTANCE` */
const DELINQUENT_SLOTS = 128;

export const CLUSTER_METHODS: ReadonlyMap<string, ClusterMethod> = new Map<string, ClusterMethod>([
  ["getGenesisHash", (_params, { view }) => view.genesisHash],
  ["getVersion", () => ({ "feature-set": 0, "solana-core": SVM_AGENT })],
  ["getHealth", () => "ok"],
  ["getIdentity", (_params, { view }) => ({ identity: view.ledger.validators[0]?.identity.address })],

  [
    "getEpochInfo",
    ([config], { view }) => {
      const bank = view.get(commitmentIn(configIn(config)));
      const { slotsPerEpoch } = view.ledger.options;
      return {
        absoluteSlot: bank.slot,
        blockHeight: bank.height,
        epoch: Math.floor(bank.slot / slotsPerEpoch),
        slotIndex: bank.slot % slotsPerEpoch,
        slotsInEpoch: slotsPerEpoch,
        transactionCount: bank.transactionCount,
      };
    },
  ],

  ["getSlotLeader", ([config], { view }) => view.ledger.leaderOf(view.get(commitmentIn(configIn(config))).slot)],

  [
    "getSlotLeaders",
    ([from, count], { view }) => {
      const start = numberIn(from);
      const limit = numberIn(count);
      if (limit > MAX_LEADERS) throw invalidParams(`Invalid limit; max ${MAX_LEADERS}`);
      const epoch = epochOf(view.ledger, start);
      if (!isScheduled(view, epoch)) {
        throw invalidParams(`Invalid slot range: leader schedule for epoch ${epoch} is unavailable`);
      }
      return Array.from({ length: limit }, (_, i) => view.ledger.leaderOf(start + i));
    },
  ],

  [
    "getLeaderSchedule",
    ([first, second], { view }) => {
      const slot = typeof first === "object" ? null : optionalNumberIn(first);
      const { identity = null } = configIn(typeof first === "object" && first !== null ? first : second);
      const wanted = identity === null ? null : base58In(identity, ADDRESS_BYTES);
      const epoch = epochOf(view.ledger, slot ?? view.get("processed").slot);
      return isScheduled(view, epoch) ? schedule(view.ledger, epoch, wanted) : null;
    },
  ],

  [
    "getVoteAccounts",
    ([given], { view }) => {
      const config = configIn(given);
      const { votePubkey = null } = config;
      const wanted = votePubkey === null ? null : base58In(votePubkey, ADDRESS_BYTES);
      const bank = view.get(commitmentIn(config));
      const distance = optionalNumberIn(config["delinquentSlotDistance"]) ?? DELINQUENT_SLOTS;
      const keepsUnstaked = booleanIn(config["keepUnstakedDelinquents"], false);
      const rows = view.ledger.validators
        .filter(({ voteAddress }) => wanted === null || voteAddress === wanted)
        .map((validator) => voteAccount(validator, bank, view.ledger));
      const isCurrent = ({ lastVote }: VoteAccount): boolean => lastVote >= bank.slot - distance && lastVote > 0;
      const delinquent = rows.filter((row) => !isCurrent(row) && (keepsUnstaked || row.activatedStake > 0));
      return { current: rows.filter(isCurrent), delinquent };
    },
  ],

  [
    "getRecentPerformanceSamples",
    ([count], { view }) => {
      const limit = optionalNumberIn(count) ?? MAX_SAMPLES;
      if (limit > MAX_SAMPLES) throw invalidParams(`Invalid limit; max ${MAX_SAMPLES}`);
      return samples(view.get("processed"), limit);
    },
  ],

  [
    "getRecentPrioritizationFees",
    ([addresses], { view }) => {
      for (const address of listIn(addresses ?? [], MAX_FEE_ADDRESSES)) base58In(address, ADDRESS_BYTES);
      const slots: number[] = [];
      let at: SvmBank | null = view.get("processed");
      for (; at !== null && slots.length < MAX_FEE_BLOCKS; at = at.parent) slots.unshift(at.slot);
      // Nobody here pays more than has to be paid.
      return slots.map((slot) => ({ prioritizationFee: 0, slot }));
    },
  ],
]);

function epochOf({ options }: SvmLedger, slot: number): number {
  return Math.floor(slot / options.slotsPerEpoch);
}

/** Known up to the epoch after this one. */
function isScheduled(view: SvmView, epoch: number): boolean {
  return epoch <= epochOf(view.ledger, view.get("processed").slot) + 1;
}

/** Indexes within the epoch by identity. */
function schedule(ledger: SvmLedger, epoch: number, wanted: string | null): Record<string, number[]> {
  const { slotsPerEpoch } = ledger.options;
  const table: Record<string, number[]> = {};
  for (let index = 0; index < slotsPerEpoch; index++) {
    const leader = ledger.leaderOf(epoch * slotsPerEpoch + index);
    if (wanted === null || leader === wanted) (table[leader] ??= []).push(index);
  }
  return table;
}

/** A row of getVoteAccounts. */
interface VoteAccount {
  readonly activatedStake: number;
  readonly commission: number;
  readonly epochCredits: readonly (readonly number[])[];
  readonly epochVoteAccount: boolean;
  readonly lastVote: number;
  readonly nodePubkey: string;
  readonly rootSlot: number;
  readonly votePubkey: string;
}

function voteAccount(validator: SvmValidator, bank: SvmBank, ledger: SvmLedger): VoteAccount {
  const lastVote = ledger.state.at(bank, validator.voteAddress)?.vote?.lastSlot ?? 0;
  const epoch = epochOf(ledger, bank.slot);
  const voted = Math.max(0, Math.min(bank.height, lastVote));
  return {
    activatedStake: validator.stake,
    commission: validator.commission,
    // A credit a vote, of which there was one a block.
    epochCredits: [[epoch, voted, Math.min(voted, epoch * ledger.options.slotsPerEpoch)]],
    epochVoteAccount: true,
    lastVote,
    nodePubkey: validator.identity.address,
    rootSlot: Math.max(0, lastVote - ledger.options.rootBehind),
    votePubkey: validator.voteAddress,
  };
}

/** Newest first: whole periods of block time, from the newest block down. */
function samples(tip: SvmBank, limit: number): object[] {
  const rows: object[] = [];
  let newest = tip;
  for (let at = tip.parent; at !== null && rows.length < limit; at = at.parent) {
    if (newest.time - at.time < SAMPLE_SECONDS) continue;
    const numTransactions = newest.transactionCount - at.transactionCount;
    rows.push({
      numNonVoteTransactions: numTransactions - votesBetween(at, newest),
      numSlots: newest.slot - at.slot,
      numTransactions,
      samplePeriodSecs: newest.time - at.time,
      slot: newest.slot,
    });
    newest = at;
  }
  return rows;
}

function votesBetween(older: SvmBank, newer: SvmBank): number {
  let votes = 0;
  for (let at: SvmBank | null = newer; at !== null && at !== older; at = at.parent) {
    votes += at.transactions.filter(({ vote }) => vote).length;
  }
  return votes;
}
