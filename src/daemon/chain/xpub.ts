/**
 * The output scripts of a wallet, by its extended public key: those of its receive chain, 0, and its change chain, 1, up to a gap
 * of unused ones (BIP 32, BIP 44). What the keys are paid by goes by the key's prefix (SLIP-132) or is named.
 *
 *   xpub, tpub  P2PKH (BIP 44)        ypub, upub  P2SH-P2WPKH (BIP 49)        zpub, vpub  P2WPKH (BIP 84)       P2TR: named (BIP 86)
 */
import { schnorr } from "@noble/curves/secp256k1.js";
import { HDKey } from "@scure/bip32";
import { hash } from "node:crypto";
import { SprintError } from "../../shared/errors.ts";
import type { AddressPlace } from "./address.ts";

export const SCRIPT_KINDS = ["p2pkh", "p2sh-p2wpkh", "p2wpkh", "p2tr"] as const;
export type ScriptKind = (typeof SCRIPT_KINDS)[number];

interface Prefix {
  readonly text: string;
  readonly version: number;
  readonly kind: ScriptKind;
  readonly chains: readonly string[];
  readonly mainnet: boolean;
}

const BITCOIN_LIKE = ["bitcoin", "litecoin"];
/** https://github.com/satoshilabs/slips/blob/master/slip-0132.md, and EXT_PUBLIC_KEY of the three nodes. */
const PREFIXES: readonly Prefix[] = [
  { text: "xpub", version: 0x0488b21e, kind: "p2pkh", chains: BITCOIN_LIKE, mainnet: true },
  { text: "ypub", version: 0x049d7cb2, kind: "p2sh-p2wpkh", chains: BITCOIN_LIKE, mainnet: true },
  { text: "zpub", version: 0x04b24746, kind: "p2wpkh", chains: BITCOIN_LIKE, mainnet: true },
  { text: "tpub", version: 0x043587cf, kind: "p2pkh", chains: [...BITCOIN_LIKE, "dogecoin"], mainnet: false },
  { text: "upub", version: 0x044a5262, kind: "p2sh-p2wpkh", chains: BITCOIN_LIKE, mainnet: false },
  { text: "vpub", version: 0x045f1cf6, kind: "p2wpkh", chains: BITCOIN_LIKE, mainnet: false },
  { text: "Ltub", version: 0x019da462, kind: "p2pkh", chains: ["litecoin"], mainnet: true },
  { text: "Mtub", version: 0x01b26ef6, kind: "p2sh-p2wpkh", chains: ["litecoin"], mainnet: true },
  { text: "ttub", version: 0x0436f6e1, kind: "p2pkh", chains: ["litecoin"], mainnet: false },
  { text: "dgub", version: 0x02facafd, kind: "p2pkh", chains: ["dogecoin"], mainnet: true },
];

export const WALLET_DEFAULTS = { gapLimit: 20 } as const;
const MAX_GAP = 1_000;
/** Of each branch: no wallet of ours goes on for ever. Behind it nothing is derived. */
const MAX_KEYS = 50_000;
const BRANCHES = [0, 1] as const;
export type Branch = (typeof BRANCHES)[number];

export interface WalletOptions {
  /** How many unused scripts behind the last used one are watched, on each branch: 1 to 1,000. */
  readonly gapLimit?: number;
  /** Instead of what the key's prefix says. */
  readonly kind?: ScriptKind;
}

/** Where a script stands in its wallet: 0 receives, 1 is change. */
export interface WalletPlace {
  readonly branch: Branch;
  readonly index: number;
}

interface BranchState {
  readonly branch: Branch;
  readonly key: HDKey;
  /** The first that was not derived yet. */
  next: number;
  firstUnused: number;
}

/**
 * The scripts of one account that are to be watched. A key costs about 0.6 ms, so they are derived some at a time: call `fill` until it
 * gives none, again after each `used` that says that there are more.
 */
export class Wallet {
  readonly kind: ScriptKind;
  readonly gapLimit: number;
  readonly #branches: readonly BranchState[];
  readonly #places = new Map<string, WalletPlace>();

  /** Throws SPRINT_XPUB_MALFORMED, SPRINT_XPUB_PRIVATE, SPRINT_XPUB_NETWORK, SPRINT_XPUB_KIND and SPRINT_XPUB_GAP. */
  constructor(options: WalletOptions, extendedKey: string, place: AddressPlace) {
    const { gapLimit = WALLET_DEFAULTS.gapLimit } = options;
    if (!Number.isInteger(gapLimit) || gapLimit < 1 || gapLimit > MAX_GAP) {
      throw refused("GAP", `gap limit: expected 1 to ${MAX_GAP}, got ${gapLimit}`);
    }
    const { key, prefix } = openKey(extendedKey, place);
    this.gapLimit = gapLimit;
    this.kind = options.kind ?? prefix.kind;
    if (place.chain === "dogecoin" && this.kind !== "p2pkh") {
      throw refused("KIND", `kind of scripts: expected p2pkh, as Dogecoin has no SegWit, got ${this.kind}`);
    }
    this.#branches = BRANCHES.map((branch) => ({ branch, key: key.deriveChild(branch), next: 0, firstUnused: 0 }));
  }

  /** At most `most` scripts, hex, that are newly to be watched; none where the gap is full. */
  fill(most: number): readonly string[] {
    const scripts: string[] = [];
    for (const state of this.#branches) {
      const end = Math.min(state.firstUnused + this.gapLimit, MAX_KEYS);
      for (; state.next < end && scripts.length < most; state.next++) {
        const script = scriptFor(this.kind, state.key.deriveChild(state.next).publicKey as Uint8Array);
        this.#places.set(script, { branch: state.branch, index: state.next });
        scripts.push(script);
      }
    }
    return scripts;
  }

  /** A script was paid to. True where that moves the gap, so that `fill` has more. */
  used(script: string): boolean {
    const place = this.#places.get(script);
    const state = place && this.#branches[place.branch];
    if (place === undefined || state === undefined || place.index < state.firstUnused) return false;
    state.firstUnused = place.index + 1;
    return state.next < MAX_KEYS;
  }

  placeOf(script: string): WalletPlace | null {
    return this.#places.get(script) ?? null;
  }

  /** All that are watched. */
  scripts(): Iterable<string> {
    return this.#places.keys();
  }
}

function openKey(text: string, { chain, network }: AddressPlace): { readonly key: HDKey; readonly prefix: Prefix } {
  // Nothing of a private key is repeated, in no message.
  if (/^[a-zA-Z]{2,3}(?:rv|pv)/.test(text)) {
    throw refused(
      "PRIVATE",
      "extended key: expected a public one, got a private one. Do not hand it to anybody; watching needs none",
    );
  }
  const prefix = PREFIXES.find((candidate) => text.startsWith(candidate.text));
  if (prefix === undefined || text.length > 120) {
    const known = PREFIXES.map((candidate) => candidate.text).join(", ");
    throw refused(
      "MALFORMED",
      `extended key: expected one that starts with ${known}, got ${JSON.stringify(text.slice(0, 4))}…`,
    );
  }
  if (!prefix.chains.includes(chain) || prefix.mainnet !== (network === "mainnet")) {
    const of = prefix.chains.map((name) => `${name} ${prefix.mainnet ? "mainnet" : "test networks"}`).join(", ");
    throw refused("NETWORK", `extended key: expected one of ${chain} ${network}, ${prefix.text} is of ${of}`);
  }
  try {
    return { key: HDKey.fromExtendedKey(text, { public: prefix.version, private: 0 }), prefix };
  } catch (cause) {
    throw new SprintError(
      "SPRINT_XPUB_MALFORMED",
      `extended key ${text.slice(0, 8)}…: expected base58check of 78 bytes with a point on the curve, got text that is not: has it a typing error?`,
      {},
      { cause },
    );
  }
}

function scriptFor(kind: ScriptKind, publicKey: Uint8Array): string {
  switch (kind) {
    case "p2pkh":
      return `76a914${hash160(publicKey)}88ac`;
    case "p2wpkh":
      return `0014${hash160(publicKey)}`;
    case "p2sh-p2wpkh":
      return `a914${hash160(Buffer.from(`0014${hash160(publicKey)}`, "hex"))}87`;
    case "p2tr":
      return `5120${taprootKey(publicKey)}`;
  }
}

function hash160(bytes: Uint8Array): string {
  return hash("ripemd160", hash("sha256", bytes, "buffer"), "hex");
}

/** A key that nothing but its signature spends by: tweaked by itself alone (BIP 86, BIP 341). */
function taprootKey(publicKey: Uint8Array): string {
  const { lift_x: liftX, taggedHash, pointToBytes } = schnorr.utils;
  const x = Buffer.from(publicKey.subarray(1));
  const tweak = BigInt(`0x${Buffer.from(taggedHash("TapTweak", x)).toString("hex")}`);
  const point = liftX(BigInt(`0x${x.toString("hex")}`)).add(schnorr.Point.BASE.multiply(tweak));
  return Buffer.from(pointToBytes(point)).toString("hex");
}

function refused(what: "GAP" | "KIND" | "MALFORMED" | "NETWORK" | "PRIVATE", message: string): SprintError {
  return new SprintError(`SPRINT_XPUB_${what}`, message);
}
