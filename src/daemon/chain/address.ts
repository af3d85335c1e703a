/**
 * Addresses and the output scripts that they stand for.
 *
 *   base58check  version[1] hash[20]: pay to public key hash, pay to script hash
 *   bech32       hrp "1" version program checksum: witness version 0 (BIP 173)
 *   bech32m      the same with another checksum: witness version 1, taproot, and up (BIP 350)
 *
 * A public key that is paid bare (P2PK) and whatever else has no address is named by its script, in hex.
 * Prefixes: `chainparams.cpp` of Bitcoin Core, Litecoin Core and Dogecoin Core.
 */
import { bech32, bech32m, createBase58check } from "@scure/base";
import { hash } from "node:crypto";
import { type ErrorData, SprintError } from "../../shared/errors.ts";
import type { NetworkParams } from "./types.ts";

/** Which chain's addresses; a row of `NetworkParams` is one. */
export type AddressPlace = Pick<NetworkParams, "chain" | "network">;

interface Prefixes extends AddressPlace {
  readonly keyHash: number;
  /** The first one is written; Litecoin's others are Bitcoin's, from when both had the same. */
  readonly scriptHash: readonly number[];
  /** Null where there is no SegWit. */
  readonly hrp: string | null;
}

function row(chain: string, networks: string, keyHash: number, scriptHash: number[], hrp: string | null): Prefixes[] {
  return networks.split(" ").map((network) => ({ chain, network, keyHash, scriptHash, hrp }));
}

const TABLE: readonly Prefixes[] = [
  ...row("bitcoin", "mainnet", 0, [5], "bc"),
  ...row("bitcoin", "testnet3 testnet4 signet", 111, [196], "tb"),
  ...row("bitcoin", "regtest", 111, [196], "bcrt"),
  ...row("litecoin", "mainnet", 48, [50, 5], "ltc"),
  ...row("litecoin", "testnet", 111, [58, 196], "tltc"),
  ...row("litecoin", "regtest", 111, [58, 196], "rltc"),
  ...row("dogecoin", "mainnet", 30, [22], null),
  ...row("dogecoin", "testnet", 113, [196], null),
  ...row("dogecoin", "regtest", 111, [196], null),
];

const MAX_ADDRESS_LENGTH = 90;
/** MAX_SCRIPT_SIZE: a longer one can never be spent. */
const MAX_SCRIPT_BYTES = 10_000;
const HASH_BYTES = 20;
const HEX = /^(?:[0-9a-f]{2})+$/i;
const BECH32 = /^([a-z]{2,8})1[02-9ac-hj-np-z]+$/i;
/** Litecoin's extension block has its own: what is paid there is seen by its receiver alone. */
const MWEB = /^(?:ltcmweb|tmweb|rmweb)1/i;

const base58check = createBase58check((bytes: Uint8Array) => hash("sha256", bytes, "buffer"));

/**
 * The output script, hex, that an address of this network pays to; a script in hex is given back in lower case.
 * Throws SPRINT_ADDRESS_MALFORMED, and SPRINT_ADDRESS_NETWORK where it is another network's, naming which.
 */
export function scriptOf(address: string, place: AddressPlace): string {
  if (MWEB.test(address)) {
    throw malformed(address, "an address whose outputs can be seen", "one of the MWEB, whose outputs are confidential");
  }
  if (BECH32.test(address) && address.length <= MAX_ADDRESS_LENGTH) return witnessScript(address, place);
  if (HEX.test(address) && address.length <= 2 * MAX_SCRIPT_BYTES) return address.toLowerCase();
  return hashScript(address, place);
}

/** The address of an output script in hex; null where it has none on this network. */
export function addressOf(script: string, place: AddressPlace): string | null {
  const prefixes = prefixesOf(place);
  const bytes = Buffer.from(script, "hex");
  const [keyHash, scriptHash] = [/^76a914(.{40})88ac$/.exec(script)?.[1], /^a914(.{40})87$/.exec(script)?.[1]];
  if (keyHash !== undefined) return base58(prefixes.keyHash, keyHash);
  if (scriptHash !== undefined) return base58(prefixes.scriptHash[0] as number, scriptHash);
  const opcode = bytes[0] ?? 0xff;
  const version = opcode === 0 ? 0 : opcode - 0x50;
  const length = bytes.length - 2;
  if (prefixes.hrp === null || bytes[1] !== length || !isProgram(version, length)) return null;
  const code = version === 0 ? bech32 : bech32m;
  return code.encode(prefixes.hrp, [version, ...code.toWords(Uint8Array.from(bytes.subarray(2)))]);
}

function base58(version: number, hashHex: string): string {
  return base58check.encode(Uint8Array.from([version, ...Buffer.from(hashHex, "hex")]));
}

function hashScript(address: string, place: AddressPlace): string {
  const bytes = decoded(address, () => (address.length <= MAX_ADDRESS_LENGTH ? base58check.decode(address) : null));
  if (bytes === null || bytes.length !== 1 + HASH_BYTES) {
    const expected = "an address: base58check of 21 bytes, bech32 or bech32m, or a script in hex";
    throw malformed(
      address,
      expected,
      bytes === null ? "text that is none, or has a typing error" : `${bytes.length} bytes`,
    );
  }
  const version = bytes[0] as number;
  const { keyHash, scriptHash } = prefixesOf(place);
  const payload = Buffer.from(bytes.subarray(1)).toString("hex");
  if (version === keyHash) return `76a914${payload}88ac`;
  if (scriptHash.includes(version)) return `a914${payload}87`;
  throw strange(address, place, (other) => other.keyHash === version || other.scriptHash.includes(version));
}

function witnessScript(address: string, place: AddressPlace): string {
  const hrp = BECH32.exec(address)?.[1]?.toLowerCase() ?? "";
  if (hrp !== prefixesOf(place).hrp) throw strange(address, place, (other) => other.hrp === hrp);
  const original = decoded(address, () => bech32.decodeUnsafe(address));
  const words = (original ?? decoded(address, () => bech32m.decodeUnsafe(address)))?.words;
  const version = words?.[0] ?? -1;
  if (words === undefined || (version === 0) !== (original !== null)) {
    const expected = "the checksum of bech32 for witness version 0, of bech32m for others";
    throw malformed(address, expected, "another: it has a typing error, or its writer is of before BIP 350");
  }
  const program = decoded(address, () => bech32.fromWords(words.slice(1)));
  if (program === null || !isProgram(version, program.length)) {
    const expected = "a witness program: 20 or 32 bytes in version 0, 2 to 40 in 1 to 16";
    throw malformed(address, expected, `version ${version} with ${program?.length ?? "no whole number of"} bytes`);
  }
  const opcode = version === 0 ? 0 : 0x50 + version;
  return Buffer.from([opcode, program.length, ...program]).toString("hex");
}

/** BIP 141. */
function isProgram(version: number, length: number): boolean {
  if (version === 0) return length === 20 || length === 32;
  return version >= 1 && version <= 16 && length >= 2 && length <= 40;
}

function prefixesOf({ chain, network }: AddressPlace): Prefixes {
  const found = TABLE.find((prefixes) => prefixes.chain === chain && prefixes.network === network);
  if (found !== undefined) return found;
  throw new SprintError("SPRINT_CHAIN_UNKNOWN_NETWORK", `no addresses are known of ${chain} ${network}`, {
    chain,
    network,
  });
}

/** Null for what is none: the codecs throw errors of their own. */
function decoded<T>(address: string, decode: () => T | null | undefined | void): T | null {
  try {
    return decode() ?? null;
  } catch (error) {
    if (error instanceof Error) return null;
    throw error;
  }
}

function strange(address: string, { chain, network }: AddressPlace, is: (other: Prefixes) => boolean): SprintError {
  const of = TABLE.filter(is).map((other) => `${other.chain} ${other.network}`);
  const got = of.length === 0 ? "of no network known here" : `of ${of.join(", ")}`;
  const data: ErrorData = { chain, network, actual: of };
  const message = `address ${shown(address)}: expected one of ${chain} ${network}, this one is ${got}`;
  return new SprintError("SPRINT_ADDRESS_NETWORK", message, data);
}

function malformed(address: string, expected: string, actual: string): SprintError {
  const message = `address ${shown(address)}: expected ${expected}, got ${actual}`;
  return new SprintError("SPRINT_ADDRESS_MALFORMED", message, { expected, actual });
}

function shown(address: string): string {
  return JSON.stringify(address.slice(0, MAX_ADDRESS_LENGTH));
}
