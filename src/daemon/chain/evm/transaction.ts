/**
 * Transactions of every type in their canonical bytes, from JSON-RPC and from RLP: what a block's transactions root is over, and
 * whose Keccak-256 is the transaction's name (EIP-2718: a type byte and RLP, legacy ones RLP alone).
 * Signatures are carried, not checked.
 */
import { SprintError } from "../../../shared/errors.ts";
import { dataOf, fieldOf, hexOf, type JsonObject, listOf, objectOf, quantityBytes, quantityOf } from "./json.ts";
import { keccak256 } from "./keccak.ts";
import { bytesInteger, decodeRlp, encodeRlp, isRlpList, rlpPayload, type RlpItem } from "./rlp.ts";

export interface EvmTransaction {
  readonly type: number;
  readonly hash: string;
  /** What the trie holds; null for Polygon's state-sync transaction from JSON, which leaves out what it is made of. */
  readonly raw: Uint8Array | null;
  /** Null where a legacy signature does not say it (before EIP-155), and for deposits of the OP stack. */
  readonly chainId: bigint | null;
  readonly gasLimit: bigint;
  /** EIP-4844 */
  readonly blobs: number;
  /** Who a node says has sent it; null in RLP. Only `senderOf` proves it, where the fields do not name it. */
  readonly saidFrom: string | null;
  /** By `itemOf`; none of a state-sync transaction. */
  readonly items: readonly RlpItem[];
}

type Kind =
  | "integer"
  /** An integer of at most 64 bits. */
  | "u64"
  | "bool"
  | "hash"
  | "address"
  /** An address, or nothing where a contract is made. */
  | "to"
  | "data"
  /** EIP-2930: [address, [key, …]], … */
  | "accessList"
  /** EIP-4844 */
  | "hashes"
  /** EIP-7702: [chain id, address, nonce, y parity, r, s], … */
  | "authorizations";

/** The names that JSON-RPC has for a field, in the order in which they are tried. */
type Field = readonly [names: readonly string[], kind: Kind];

const field = (kind: Kind, ...names: string[]): Field => [names, kind];
const CHAIN_ID = field("integer", "chainId");
const NONCE = field("u64", "nonce");
const GAS_PRICE = field("integer", "gasPrice");
const GAS = field("u64", "gas");
const FROM = field("address", "from");
const TO = field("to", "to");
const VALUE = field("integer", "value");
const INPUT = field("data", "input", "data");
const ACCESS_LIST = field("accessList", "accessList");
const FEES = [field("integer", "maxPriorityFeePerGas"), field("integer", "maxFeePerGas")];
const SIGNATURE = [field("integer", "yParity", "v"), field("integer", "r"), field("integer", "s")];
/** Nitro calls its only price by either name. */
const FEE_CAP = field("integer", "maxFeePerGas", "gasPrice");
const REQUEST_ID = field("hash", "requestId");

const LEGACY = 0;
const BLOB = 3;
const DEPOSIT = 0x7e;
/** Polygon since Madhugiri: not fields but a list of events, [id, contract, data, hash of the transaction on Ethereum] each. */
const STATE_SYNC = 0x7f;

/** By type. 0-4: EIP-2718, 2930, 1559, 4844, 7702; 0x64-0x6a: Nitro (go-ethereum fork of Offchain Labs, arb_types.go); 0x7e: OP stack. */
const TYPES: ReadonlyMap<number, readonly Field[]> = new Map([
  [
    LEGACY,
    [NONCE, GAS_PRICE, GAS, TO, VALUE, INPUT, field("integer", "v"), field("integer", "r"), field("integer", "s")],
  ],
  [1, [CHAIN_ID, NONCE, GAS_PRICE, GAS, TO, VALUE, INPUT, ACCESS_LIST, ...SIGNATURE]],
  [2, [CHAIN_ID, NONCE, ...FEES, GAS, TO, VALUE, INPUT, ACCESS_LIST, ...SIGNATURE]],
  [
    BLOB,
    [
      CHAIN_ID,
      NONCE,
      ...FEES,
      GAS,
      field("address", "to"),
      VALUE,
      INPUT,
      ACCESS_LIST,
      field("integer", "maxFeePerBlobGas"),
      field("hashes", "blobVersionedHashes"),
      ...SIGNATURE,
    ],
  ],
  [
    4,
    [
      CHAIN_ID,
      NONCE,
      ...FEES,
      GAS,
      field("address", "to"),
      VALUE,
      INPUT,
      ACCESS_LIST,
      field("authorizations", "authorizationList"),
      ...SIGNATURE,
    ],
  ],
  [0x64, [CHAIN_ID, REQUEST_ID, FROM, field("address", "to"), VALUE]],
  [0x65, [CHAIN_ID, FROM, NONCE, FEE_CAP, GAS, TO, VALUE, INPUT]],
  [0x66, [CHAIN_ID, REQUEST_ID, FROM, FEE_CAP, GAS, TO, VALUE, INPUT]],
  [
    0x68,
    [
      CHAIN_ID,
      NONCE,
      FROM,
      FEE_CAP,
      GAS,
      TO,
      VALUE,
      INPUT,
      field("hash", "ticketId"),
      field("address", "refundTo"),
      field("integer", "maxRefund"),
      field("integer", "submissionFeeRefund"),
    ],
  ],
  [
    0x69,
    [
      CHAIN_ID,
      REQUEST_ID,
      FROM,
      field("integer", "l1BaseFee"),
      field("integer", "depositValue"),
      FEE_CAP,
      GAS,
      field("to", "retryTo"),
      field("integer", "retryValue"),
      field("address", "beneficiary"),
      field("integer", "maxSubmissionFee"),
      field("address", "refundTo"),
      field("data", "retryData"),
    ],
  ],
  [0x6a, [CHAIN_ID, INPUT]],
  [
    DEPOSIT,
    [field("hash", "sourceHash"), FROM, TO, field("integer", "mint"), VALUE, GAS, field("bool", "isSystemTx"), INPUT],
  ],
]);

/** What nodes leave out when it is zero. */
const OPTIONAL = new Set(["mint", "isSystemTx", "to", "retryTo", "accessList"]);

/** Throws SPRINT_EVM_JSON_*, SPRINT_EVM_TX_TYPE, or SPRINT_EVM_TX_HASH where `hash` is another. */
export function transactionFromJson(value: unknown, what: string): EvmTransaction {
  const object = objectOf(value, what);
  const type = typeOf(object, what);
  if (type === STATE_SYNC) return stateSync(hexOf(dataOf(object["hash"], `${what} hash`, 32)), null);
  const fields = fieldsOf(type, what);
  const items = fields.map(([names, kind]) => fieldItem(object, names, kind, `${what} ${names[0]}`));
  const transaction = transactionOf(type, items, what);
  checkRepeated(object, transaction, what);
  const named = hexOf(dataOf(object["hash"], `${what} hash`, 32));
  if (named !== transaction.hash) {
    throw badTransaction(
      "SPRINT_EVM_TX_HASH",
      `${what} hash`,
      `the Keccak-256 of its fields, ${transaction.hash}`,
      named,
    );
  }
  const from = object["from"];
  return typeof from === "string" ? { ...transaction, saidFrom: from.toLowerCase() } : transaction;
}

/** A field by JSON-RPC's name for it; undefined where this type has none. */
export function itemOf({ type, items }: EvmTransaction, name: string): RlpItem | undefined {
  return items[TYPES.get(type)?.findIndex(([names]) => names[0] === name) ?? -1];
}

/** Nodes say some things twice; a reader of the other field must not be told something else. */
function checkRepeated(object: JsonObject, { type, chainId }: EvmTransaction, what: string): void {
  const id = fieldOf(object, ["chainId"]);
  if (type === LEGACY && chainId !== null && id !== undefined && quantityOf(id, `${what} chainId`) !== chainId) {
    throw badTransaction("SPRINT_EVM_TX_CHAIN_ID", `${what} chainId`, `${chainId}, as v says`, String(id));
  }
  const [v, parity] = [fieldOf(object, ["v"]), fieldOf(object, ["yParity"])];
  if (v !== undefined && parity !== undefined && quantityOf(v, `${what} v`) !== quantityOf(parity, `${what} yParity`)) {
    throw badTransaction("SPRINT_EVM_TX_FIELDS", `${what} v`, `${String(parity)}, as yParity says`, String(v));
  }
  const [input, data] = [fieldOf(object, ["input"]), fieldOf(object, ["data"])];
  if (input !== undefined && data !== undefined && !dataOf(input, what).equals(dataOf(data, what))) {
    throw badTransaction("SPRINT_EVM_TX_FIELDS", `${what} data`, "the same as input", "other bytes");
  }
}

/** One item of a block's list: a list of its own, or bytes that begin with the type. Throws SPRINT_EVM_RLP_*, SPRINT_EVM_TX_*. */
export function transactionFromRlp(encoded: Uint8Array, what: string): EvmTransaction {
  const legacy = isRlpList(encoded);
  const raw = legacy ? encoded : rlpPayload(encoded);
  const type = legacy ? LEGACY : (raw[0] ?? LEGACY);
  if (!legacy && type === LEGACY) throw badTransaction("SPRINT_EVM_TX_TYPE", what, "a type of 1 to 0x7f", "0");
  const items = decodeRlp(legacy ? raw : raw.subarray(1));
  if (type === STATE_SYNC) {
    if (items instanceof Uint8Array || !items.every(isEvent)) {
      throw badTransaction("SPRINT_EVM_TX_FIELDS", what, "a list of id, contract, data and hash", "something else");
    }
    return stateSync(hexOf(keccak256(raw)), raw);
  }
  const fields = fieldsOf(type, what);
  if (items instanceof Uint8Array || items.length !== fields.length) {
    const actual = items instanceof Uint8Array ? "bytes" : items.length;
    throw badTransaction("SPRINT_EVM_TX_FIELDS", what, `${fields.length} fields`, actual);
  }
  fields.forEach(([names, kind], i) => checkItem(items[i] as RlpItem, kind, `${what} ${names[0]}`));
  return transactionOf(type, items, what, raw);
}

/** Absent in answers of nodes before EIP-2718, which knew legacy ones only. */
export function typeOf(object: JsonObject, what: string): number {
  const given = fieldOf(object, ["type"]);
  if (given === undefined) return LEGACY;
  const bytes = quantityBytes(given, `${what} type`);
  return bytes.length > 1 ? 0x100 : (bytes[0] ?? LEGACY);
}

function stateSync(hash: string, raw: Uint8Array | null): EvmTransaction {
  return { type: STATE_SYNC, hash, raw, chainId: null, gasLimit: 0n, blobs: 0, saidFrom: null, items: [] };
}

function isEvent(item: RlpItem): boolean {
  if (item instanceof Uint8Array || item.length !== 4) return false;
  const [id, contract, data, hash] = item;
  const sized = (part: RlpItem | undefined, size: number): boolean =>
    part instanceof Uint8Array && part.length === size;
  const isId = id instanceof Uint8Array && id.length <= 8 && id[0] !== 0;
  return isId && sized(contract, 20) && data instanceof Uint8Array && sized(hash, 32);
}

function fieldsOf(type: number, what: string): readonly Field[] {
  const fields = TYPES.get(type);
  if (fields !== undefined) return fields;
  const known = [...TYPES.keys()].map((each) => `0x${each.toString(16)}`).join(", ");
  throw badTransaction("SPRINT_EVM_TX_TYPE", `${what} type`, `one of ${known}`, `0x${type.toString(16)}`);
}

function transactionOf(type: number, items: readonly RlpItem[], what: string, known?: Uint8Array): EvmTransaction {
  const raw = known ?? canonical(type, items);
  const fields = fieldsOf(type, what);
  const at = (name: string): RlpItem | undefined => items[fields.findIndex(([names]) => names[0] === name)];
  const integer = (name: string): bigint | null => {
    const item = at(name);
    return item === undefined ? null : bytesInteger(item, `${what} ${name}`);
  };
  const hashes = at("blobVersionedHashes");
  return {
    type,
    hash: hexOf(keccak256(raw)),
    raw,
    chainId: type === LEGACY ? protectedBy(integer("v") ?? 0n) : integer("chainId"),
    gasLimit: integer("gas") ?? 0n,
    blobs: hashes === undefined ? 0 : hashes.length,
    saidFrom: null,
    items,
  };
}

function canonical(type: number, items: readonly RlpItem[]): Uint8Array {
  const encoded = encodeRlp(items);
  return type === LEGACY ? encoded : Buffer.concat([Uint8Array.of(type), encoded]);
}

/** EIP-155: v is 35 or 36 and twice the chain id. */
function protectedBy(v: bigint): bigint | null {
  return v < 35n ? null : (v - 35n) / 2n;
}

function fieldItem(object: JsonObject, names: readonly string[], kind: Kind, what: string): RlpItem {
  const value = fieldOf(object, names);
  const absent = value === undefined && OPTIONAL.has(names[0] as string);
  switch (kind) {
    case "integer":
    case "u64":
      return absent ? new Uint8Array(0) : inBounds(quantityBytes(value, what), kind, what);
    case "bool":
      if (value !== undefined && typeof value !== "boolean") {
        throw badTransaction("SPRINT_EVM_JSON_TYPE", what, "true or false", typeof value);
      }
      return value === true ? Uint8Array.of(1) : new Uint8Array(0);
    case "hash":
      return dataOf(value, what, 32);
    case "address":
      return dataOf(value, what, 20);
    case "to":
      return absent ? new Uint8Array(0) : dataOf(value, what, 20);
    case "data":
      return dataOf(value, what);
    case "accessList":
      return absent
        ? []
        : listOf(value, what).map((each) => {
            const entry = objectOf(each, what);
            const keys = listOf(entry["storageKeys"] ?? [], `${what} storageKeys`);
            return [dataOf(entry["address"], `${what} address`, 20), keys.map((key) => dataOf(key, `${what} key`, 32))];
          });
    case "hashes":
      return listOf(value, what).map((hash) => dataOf(hash, what, 32));
    case "authorizations":
      return listOf(value, what).map((each) => {
        const entry = objectOf(each, what);
        const integer = (...given: string[]): Uint8Array => quantityBytes(fieldOf(entry, given), `${what} ${given[0]}`);
        return [
          integer("chainId"),
          dataOf(entry["address"], `${what} address`, 20),
          integer("nonce"),
          integer("yParity", "v"),
          integer("r"),
          integer("s"),
        ];
      });
  }
}

function inBounds(bytes: Uint8Array, kind: Kind, what: string): Uint8Array {
  if (kind !== "u64" || bytes.length <= 8) return bytes;
  throw badTransaction("SPRINT_EVM_NUMBER_RANGE", what, "at most 8 bytes", bytes.length);
}

function checkItem(item: RlpItem, kind: Kind, what: string): void {
  const wrong = (expected: string): SprintError => {
    const actual = item instanceof Uint8Array ? `${item.length} bytes` : `a list of ${item.length}`;
    return badTransaction("SPRINT_EVM_TX_FIELDS", what, expected, actual);
  };
  const sized = (given: RlpItem | undefined, ...sizes: number[]): boolean =>
    given instanceof Uint8Array && sizes.includes(given.length);
  switch (kind) {
    case "integer":
    case "u64":
      bytesInteger(item, what, kind === "u64" ? 8 : 32);
      return;
    case "bool":
      if (bytesInteger(item, what, 1) > 1n) throw wrong("0 or 1");
      return;
    case "hash":
      if (!sized(item, 32)) throw wrong("32 bytes");
      return;
    case "address":
      if (!sized(item, 20)) throw wrong("20 bytes");
      return;
    case "to":
      if (!sized(item, 0, 20)) throw wrong("20 bytes or none");
      return;
    case "data":
      if (!(item instanceof Uint8Array)) throw wrong("bytes");
      return;
    case "accessList":
      if (item instanceof Uint8Array || !item.every(isAccess)) throw wrong("a list of address and keys");
      return;
    case "hashes":
      if (item instanceof Uint8Array || !item.every((hash) => sized(hash, 32))) throw wrong("a list of 32 bytes each");
      return;
    case "authorizations":
      if (item instanceof Uint8Array) throw wrong("a list");
      for (const entry of item) {
        if (entry instanceof Uint8Array || entry.length !== 6 || !sized(entry[1], 20)) throw wrong("lists of 6 fields");
        for (const index of [0, 2, 3, 4, 5]) bytesInteger(entry[index] as RlpItem, what);
      }
  }
}

function isAccess(entry: RlpItem): boolean {
  if (entry instanceof Uint8Array || entry.length !== 2) return false;
  const [address, keys] = entry;
  if (!(address instanceof Uint8Array) || address.length !== 20 || !Array.isArray(keys)) return false;
  return (keys as readonly RlpItem[]).every((key) => key instanceof Uint8Array && key.length === 32);
}

function badTransaction(
  code: `SPRINT_EVM_${string}`,
  what: string,
  expected: string,
  actual: string | number,
): SprintError {
  return new SprintError(code, `${what}: expected ${expected}, got ${actual}`, { field: what, expected, actual });
}
