/**
 * Getting to know a peer that we dialled.
 *
 *   we                      peer
 *   version ──────────────▶
 *            ◀────────────── version
 *   wtxidrelay, sendaddrv2 ▶   where both speak 70016 (BIP 339, BIP 155: before verack)
 *   verack ───────────────▶
 *            ◀────────────── verack
 *   sendheaders, sendcmpct ▶   what we want to be told, and how (BIP 130, BIP 152)
 */
import { randomBytes } from "node:crypto";
import { SprintError } from "../../shared/errors.ts";
import {
  INV,
  PROTOCOL,
  SERVICE,
  type Version,
  decodeVersion,
  encodeSendCompact,
  encodeVersion,
} from "../wire/index.ts";

/** Older peers do not answer `getheaders` as we need it. Core's MIN_PEER_PROTO_VERSION is lower; nobody runs that any more. */
const OLDEST_VERSION = 70_001;

export interface HandshakeOptions {
  /** Shown in errors. */
  readonly url: string;
  readonly agent: string;
  /** The protocol version that we offer. */
  readonly protocolVersion: number;
  /** The chain's getdata type for a whole block: says whether it has witnesses. */
  readonly blockInvType: number;
  /** Unix seconds. */
  readonly time: number;
  /** Loose transactions are wanted (BIP 37). */
  readonly transactions: boolean;
}

export type Send = (command: string, payload?: Uint8Array) => void;

/** BIP 152: version 2 counts ids with witness; a chain without SegWit has version 1 only. */
export function compactVersionFor(blockInvType: number): 1 | 2 {
  return (blockInvType & INV.WITNESS_BLOCK) === INV.WITNESS_BLOCK ? 2 : 1;
}

export class Handshake {
  readonly #options: HandshakeOptions;
  readonly #send: Send;
  readonly #nonce = randomBytes(8).readBigUInt64LE();
  #peer: Version | null = null;

  /** Sends our `version` at once. */
  constructor(options: HandshakeOptions, send: Send) {
    this.#options = options;
    this.#send = send;
    const { protocolVersion: version, agent, time, transactions: relay } = options;
    send(
      "version",
      encodeVersion({ version, services: 0n, time: BigInt(time), nonce: this.#nonce, agent, height: 0, relay }),
    );
  }

  /** The peer's `version` once the handshake is done, null while it is going on. Throws on a peer that we do not want. */
  receive(command: string, payload: Uint8Array): Version | null {
    if (command === "version" && this.#peer === null) this.#greet(decodeVersion(payload));
    if (command !== "verack" || this.#peer === null) return null;
    const { version } = this.#peer;
    if (version >= PROTOCOL.SEND_HEADERS) this.#send("sendheaders");
    if (version >= PROTOCOL.COMPACT_BLOCKS) {
      const compactVersion = BigInt(compactVersionFor(this.#options.blockInvType));
      this.#send("sendcmpct", encodeSendCompact({ highBandwidth: true, version: compactVersion }));
    }
    return this.#peer;
  }

  #greet(peer: Version): void {
    const { url, protocolVersion, blockInvType } = this.#options;
    if (peer.nonce === this.#nonce) throw refused("SPRINT_P2P_SELF", `${url} is this program itself`, "a node", url);
    if (peer.version < OLDEST_VERSION) {
      throw refused("SPRINT_P2P_OBSOLETE", `${url} speaks protocol ${peer.version}`, `${OLDEST_VERSION} or newer`, url);
    }
    if ((peer.services & (SERVICE.NETWORK | SERVICE.NETWORK_LIMITED)) === 0n) {
      throw refused("SPRINT_P2P_SERVICES", `${url} serves no blocks`, "NODE_NETWORK or NODE_NETWORK_LIMITED", url);
    }
    if (compactVersionFor(blockInvType) === 2 && (peer.services & SERVICE.WITNESS) === 0n) {
      throw refused("SPRINT_P2P_SERVICES", `${url} serves blocks without witness`, "NODE_WITNESS", url);
    }
    this.#peer = peer;
    if (Math.min(protocolVersion, peer.version) >= PROTOCOL.WTXID_RELAY) {
      this.#send("wtxidrelay");
      this.#send("sendaddrv2");
    }
    this.#send("verack");
  }
}

function refused(code: `SPRINT_P2P_${string}`, got: string, expected: string, url: string): SprintError {
  return new SprintError(code, `${got}; expected ${expected}. Point this upstream at another node.`, { url, expected });
}
