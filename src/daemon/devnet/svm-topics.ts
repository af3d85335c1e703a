/** What can be subscribed to, and what each event of the ledger says to it (`rpc_pubsub` and `rpc_subscriptions` of the reference validator). */
import { decodeBase58Bounded, decodeTransaction, encodeBase58 } from "../chain/index.ts";
import {
  ADDRESS_BYTES,
  SIGNATURE_BYTES,
  base58In,
  booleanIn,
  commitmentIn,
  configIn,
  invalidParams,
  listIn,
  numberIn,
  settledCommitmentIn,
  textIn,
} from "./svm-arguments.ts";
import { type SvmBank, type SvmCommitment, groupTransactions } from "./svm-bank.ts";
import type { ExecutedTransaction } from "./svm-execute.ts";
import type { SvmSlotEvent } from "./svm-ledger.ts";
import type { SvmView } from "./svm-lies.ts";
import { SvmRefusal, methodNotFound } from "./svm-request.ts";
import { readBallot } from "./svm-transactions.ts";
import { accountData, accountFormIn, accountView, blockFormIn, blockView } from "./svm-views.ts";

export interface SvmTopicModules {
  readonly view: SvmView;
  readonly wallMs: () => number;
  /** Off by default in a real one, and on public ones: there the method is not found. */
  readonly blockSubscribe: boolean;
  readonly voteSubscribe: boolean;
}

export interface SvmTopic {
  /** The method of its notifications. */
  readonly notification: string;
  /** The results to tell, in order. */
  readonly tell: (event: SvmSlotEvent) => readonly unknown[];
  /** After what it told, there is no more of it. */
  readonly once?: (result: unknown) => boolean;
}

type Topic = (params: readonly unknown[], modules: SvmTopicModules) => SvmTopic;

/** Throws SvmRefusal. */
export function svmTopic(method: string, params: readonly unknown[], modules: SvmTopicModules): SvmTopic {
  const topic = TOPICS.get(method);
  const isOff =
    (method === "blockSubscribe" && !modules.blockSubscribe) || (method === "voteSubscribe" && !modules.voteSubscribe);
  if (topic === undefined || isOff) throw methodNotFound();
  return topic(params, modules);
}

export function isUnsubscribe(method: string): boolean {
  return method.endsWith("Unsubscribe") && TOPICS.has(method.replace("Unsubscribe", "Subscribe"));
}

/** Which event raises a bank to that commitment. */
const RAISES: Readonly<Record<SvmCommitment, SvmSlotEvent["type"]>> = {
  processed: "frozen",
  confirmed: "optimisticConfirmation",
  finalized: "root",
};

function raised(event: SvmSlotEvent, commitment: SvmCommitment): SvmBank | null {
  return event.type === RAISES[commitment] && "bank" in event ? event.bank : null;
}

function inContext(bank: SvmBank, value: unknown): object {
  return { context: { slot: bank.slot }, value };
}

const TOPICS: ReadonlyMap<string, Topic> = new Map<string, Topic>([
  [
    "slotSubscribe",
    (_params, { view }) => ({
      notification: "slotNotification",
      tell: (event) => (event.type === "createdBank" ? slotInfos(event, view) : []),
    }),
  ],
  [
    "slotsUpdatesSubscribe",
    (_params, { wallMs }) => ({
      notification: "slotsUpdatesNotification",
      tell: (event) => [slotUpdate(event, wallMs())],
    }),
  ],
  [
    "rootSubscribe",
    () => ({ notification: "rootNotification", tell: (event) => (event.type === "root" ? [event.slot] : []) }),
  ],
  ["voteSubscribe", () => ({ notification: "voteNotification", tell: (event) => votes(event) })],
  ["blockSubscribe", blockTopic],
  ["logsSubscribe", logsTopic],
  ["accountSubscribe", accountTopic],
  ["programSubscribe", programTopic],
  ["signatureSubscribe", signatureTopic],
]);

function slotInfos({ slot, parent }: { readonly slot: number; readonly parent: number }, view: SvmView): object[] {
  const root = view.get("finalized").slot;
  if (view.phantomSlots > 0)
    return [
      { parent, root, slot },
      { parent: slot, root, slot: slot + view.phantomSlots },
    ];
  return [{ parent, root, slot }];
}

function slotUpdate(event: SvmSlotEvent, timestamp: number): object {
  const { type, slot } = event;
  if (type === "createdBank") return { parent: event.parent, slot, timestamp, type };
  if (type === "dead") return { err: event.err, slot, timestamp, type };
  return type === "frozen" ? { slot, stats: statsOf(event.bank), timestamp, type } : { slot, timestamp, type };
}

function statsOf({ transactions }: SvmBank): object {
  const failed = transactions.filter(({ outcome }) => outcome.err !== null).length;
  const sizes = groupTransactions(transactions).map((group) => group.length);
  return {
    maxTransactionsPerEntry: Math.max(0, ...sizes),
    numFailedTransactions: failed,
    numSuccessfulTransactions: transactions.length - failed,
    numTransactionEntries: sizes.length,
  };
}

function votes(event: SvmSlotEvent): object[] {
  const bank = raised(event, "processed");
  return (bank?.transactions ?? [])
    .filter(({ vote }) => vote)
    .flatMap(({ bytes, keys, signature }) => {
      const [instruction] = decodeTransaction(bytes).message.instructions;
      const ballot = readBallot(instruction?.data ?? new Uint8Array());
      if (ballot === null) return [];
      const { slots, bankHash, timestamp } = ballot;
      return [{ hash: encodeBase58(bankHash), signature, slots, timestamp, votePubkey: keys[1] }];
    });
}

function blockTopic([filter, given]: readonly unknown[], { view }: SvmTopicModules): SvmTopic {
  const config = configIn(given);
  const commitment = settledCommitmentIn(config);
  const form = blockFormIn(config, { encoding: "base64", rewards: false });
  const key = filter === "all" ? null : addressIn(configIn(filter)["mentionsAccountOrProgram"]);
  const tell = (event: SvmSlotEvent): object[] => {
    const bank = raised(event, commitment);
    const block = bank === null ? null : view.block(bank);
    if (bank === null) return [];
    const { slot } = bank;
    if (block === null) return [inContext(bank, { block: null, err: null, slot })];
    const chosen = key === null ? block.transactions : block.transactions.filter(({ keys }) => keys.includes(key));
    if (key !== null && chosen.length === 0) return [];
    try {
      return [inContext(bank, { block: blockView(block, form, chosen), err: null, slot })];
    } catch (error) {
      if (!(error instanceof SvmRefusal)) throw error;
      return [inContext(bank, { block: null, err: { UnsupportedTransactionVersion: 0 }, slot })];
    }
  };
  return { notification: "blockNotification", tell };
}

function logsTopic([filter, given]: readonly unknown[]): SvmTopic {
  const commitment = commitmentIn(configIn(given));
  const isWanted = logsFilterIn(filter);
  const tell = (event: SvmSlotEvent): object[] => {
    const bank = raised(event, commitment);
    return (bank?.transactions ?? [])
      .filter(isWanted)
      .map(({ signature, outcome }) => inContext(bank as SvmBank, { err: outcome.err, logs: outcome.logs, signature }));
  };
  return { notification: "logsNotification", tell };
}

function logsFilterIn(filter: unknown): (transaction: ExecutedTransaction) => boolean {
  if (filter === "allWithVotes") return () => true;
  if (filter === "all") return ({ vote }) => !vote;
  const { mentions } = configIn(filter);
  const keys = listIn(mentions, Number.POSITIVE_INFINITY);
  if (keys.length !== 1) throw invalidParams("Invalid Request: Only 1 address supported");
  const key = addressIn(keys[0]);
  return (transaction) => transaction.keys.includes(key);
}

function accountTopic([address, given]: readonly unknown[]): SvmTopic {
  const key = addressIn(address);
  const config = configIn(given);
  const commitment = commitmentIn(config);
  const form = accountFormIn(config);
  const tell = (event: SvmSlotEvent): object[] => {
    const bank = raised(event, commitment);
    const account = bank?.changes.get(key);
    return bank === null || account === undefined ? [] : [inContext(bank, accountView(account, form))];
  };
  return { notification: "accountNotification", tell };
}

const MAX_FILTERS = 4;
const MAX_MEMCMP_BYTES = 128;

function programTopic([address, given]: readonly unknown[]): SvmTopic {
  const program = addressIn(address);
  const config = configIn(given);
  const commitment = commitmentIn(config);
  const form = accountFormIn(config);
  const filters = listIn(config["filters"] ?? [], MAX_FILTERS).map(dataFilterIn);
  const tell = (event: SvmSlotEvent): object[] => {
    const bank = raised(event, commitment);
    return [...(bank?.changes ?? [])]
      .filter(([, account]) => account.owner === program && filters.every((fits) => fits(accountData(account))))
      .map(([pubkey, account]) => inContext(bank as SvmBank, { account: accountView(account, form), pubkey }));
  };
  return { notification: "programNotification", tell };
}

function dataFilterIn(given: unknown): (data: Uint8Array) => boolean {
  const { dataSize, memcmp } = configIn(given);
  if (dataSize !== undefined) {
    const size = numberIn(dataSize);
    return (data) => data.length === size;
  }
  const { offset, bytes, encoding } = configIn(memcmp);
  const from = numberIn(offset);
  const text = textIn(bytes);
  const wanted = encoding === "base64" ? Buffer.from(text, "base64") : decodeBase58Bounded(text, MAX_MEMCMP_BYTES);
  if (wanted === null || wanted.length > MAX_MEMCMP_BYTES)
    throw invalidParams("encoded binary data should be less than 128 bytes");
  return (data) => Buffer.compare(data.subarray(from, from + wanted.length), wanted) === 0;
}

function signatureTopic([name, given]: readonly unknown[], { view }: SvmTopicModules): SvmTopic {
  const signature = base58In(name, SIGNATURE_BYTES, "Invalid Request: Invalid signature provided");
  const config = configIn(given);
  const commitment = commitmentIn(config);
  let announcesReceipt = booleanIn(config["enableReceivedNotification"], false);
  const tell = (event: SvmSlotEvent): object[] => {
    const results: object[] = [];
    const frozen = raised(event, "processed");
    if (announcesReceipt && frozen !== null && view.ledger.holderOf(signature, frozen) !== undefined) {
      announcesReceipt = false;
      results.push(inContext(frozen, RECEIVED));
    }
    const bank = raised(event, commitment);
    const holder = bank === null ? undefined : view.ledger.holderOf(signature, bank);
    const transaction = holder?.transactions.find((each) => each.signature === signature);
    if (bank !== null && transaction !== undefined) results.push(inContext(bank, { err: transaction.outcome.err }));
    return results;
  };
  const once = (result: unknown): boolean => (result as { readonly value: unknown }).value !== RECEIVED;
  return { notification: "signatureNotification", tell, once };
}

const RECEIVED = "receivedSignature";

function addressIn(value: unknown): string {
  return base58In(value, ADDRESS_BYTES, "Invalid Request: Invalid pubkey provided");
}
