/**
 * The messages that two nodes get to know each other by, and those that keep the connection alive.
 *
 *   version     := version[4] services[8] time[8] receiver sender nonce[8] agent:string height[4] (relay[1])?
 *   receiver    := services[8] ip[16] port[2, BE]             sender := the same
 *   string      := CompactSize bytes
 *   verack, wtxidrelay, sendaddrv2, sendheaders, getaddr := nothing
 *   sendcmpct   := highBandwidth[1] version[8]
 *   ping, pong  := nonce[8]
 *   feefilter, reject: read by nobody here
 *
 * https://developer.bitcoin.org/reference/p2p_networking.html#version, BIP 14 (agent), 37 (relay), 60, 111;
 * BIP 31 (pong), 130 (sendheaders), 152 (sendcmpct), 155 (sendaddrv2), 339 (wtxidrelay).
 */
import { ByteReader, ByteWriter, malformed } from "./bytes.ts";

/** Bits of `services`. https://github.com/bitcoin/bitcoin/blob/v27.0/src/protocol.h#L310 */
export const SERVICE = {
  /** Serves the whole chain. */
  NETWORK: 1n,
  WITNESS: 8n,
  /** BIP 157: serves basic block filters. */
  COMPACT_FILTERS: 64n,
  /** BIP 159: serves the last 288 blocks. */
  NETWORK_LIMITED: 1024n,
  /** Litecoin: serves extension blocks. */
  MWEB: 1n << 24n,
} as const;

/** The version from which each message is understood. */
export const PROTOCOL = {
  SEND_HEADERS: 70_012,
  COMPACT_BLOCKS: 70_014,
  /** BIP 339; sendaddrv2 (BIP 155) is sent from here on too, as Core does. */
  WTXID_RELAY: 70_016,
} as const;

/** Core's MAX_SUBVERSION_LENGTH. */
const MAX_AGENT_BYTES = 256;

export interface Version {
  readonly version: number;
  readonly services: bigint;
  /** Unix seconds. */
  readonly time: bigint;
  readonly nonce: bigint;
  readonly agent: string;
  readonly height: number;
  /** Whether loose transactions are wanted (BIP 37). */
  readonly relay: boolean;
}

export function encodeVersion(version: Version): Uint8Array {
  return new ByteWriter(128)
    .i32(version.version)
    .u64(version.services)
    .u64(version.time)
    .put(NO_ADDRESS)
    .put(NO_ADDRESS)
    .u64(version.nonce)
    .compactSize(Buffer.byteLength(version.agent))
    .put(Buffer.from(version.agent))
    .i32(version.height)
    .u8(version.relay ? 1 : 0)
    .done();
}

/** Fields after the receiver are optional in very old versions, and bytes after the last one are a later version's. */
export function decodeVersion(payload: Uint8Array): Version {
  const reader = new ByteReader(payload, "version");
  const version = reader.i32();
  const services = reader.u64();
  const time = reader.u64();
  reader.take(NO_ADDRESS.length);
  if (reader.remaining === 0) return { version, services, time, nonce: 0n, agent: "", height: 0, relay: true };
  reader.take(NO_ADDRESS.length);
  const nonce = reader.u64();
  // The agent is shown in terminals and logs: nothing in it may steer them.
  const agent = Buffer.from(reader.take(reader.count(MAX_AGENT_BYTES, "bytes of user agent")))
    .toString("latin1")
    .replace(/[^\x20-\x7e]/g, "?");
  const height = reader.remaining === 0 ? 0 : reader.i32();
  const relay = reader.remaining === 0 ? true : reader.u8() !== 0;
  return { version, services, time, nonce, agent, height, relay };
}

/** Nodes ignore the addresses in `version`; ours stays private. */
const NO_ADDRESS = new Uint8Array(26);

export interface SendCompact {
  /** True: announce each block by an unasked `cmpctblock`. */
  readonly highBandwidth: boolean;
  /** 1: short ids over txid; 2: over wtxid, transactions with witness. */
  readonly version: bigint;
}

export function encodeSendCompact(message: SendCompact): Uint8Array {
  return new ByteWriter(9)
    .u8(message.highBandwidth ? 1 : 0)
    .u64(message.version)
    .done();
}

export function decodeSendCompact(payload: Uint8Array): SendCompact {
  const reader = new ByteReader(payload, "sendcmpct");
  const flag = reader.u8();
  if (flag > 1) throw malformed("sendcmpct", "0 or 1 as first byte", flag);
  const version = reader.u64();
  reader.finish();
  return { highBandwidth: flag === 1, version };
}

/** The payload of `ping` and of the `pong` that answers it. */
export function encodePing(nonce: bigint): Uint8Array {
  return new ByteWriter(8).u64(nonce).done();
}

export function decodePing(payload: Uint8Array): bigint {
  const reader = new ByteReader(payload, "ping");
  const nonce = reader.u64();
  reader.finish();
  return nonce;
}
