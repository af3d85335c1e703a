/**
 * Gossip about other nodes.
 *
 *   addr    := count:CompactSize (time[4] services[8] ip[16] port[2, BE])*                           at most 1,000
 *   addrv2  := count:CompactSize (time[4] services:CompactSize network[1] address:string port[2, BE])*  at most 1,000
 *   ip      := IPv6, or ::ffff:a.b.c.d
 *
 * https://developer.bitcoin.org/reference/p2p_networking.html#addr, BIP 155 (addrv2: networks and address lengths).
 */
import { ByteReader, ByteWriter, malformed } from "./bytes.ts";

const MAX_ADDRESSES = 1_000;

/** BIP 155: longer ones must be refused. */
const MAX_ADDRESS_BYTES = 512;

export type AddressNetwork = "ipv4" | "ipv6" | "other";

export interface NodeAddress {
  /** Unix seconds at which the node was last seen. */
  readonly time: number;
  readonly services: bigint;
  readonly network: AddressNetwork;
  /** IPv4 or IPv6 text; empty for networks that a plain socket cannot reach. */
  readonly host: string;
  readonly port: number;
}

const V4_PREFIX = Buffer.from("00000000000000000000ffff", "hex");

/** BIP 155: network id -> length that the address must have. */
const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [1, 4],
  [2, 16],
  [3, 10],
  [4, 32],
  [5, 32],
  [6, 16],
]);

function hostOf(bytes: Uint8Array): { network: AddressNetwork; host: string } {
  const address = Buffer.from(bytes);
  if (address.length === 4) return { network: "ipv4", host: address.join(".") };
  if (address.length !== 16) return { network: "other", host: "" };
  if (address.subarray(0, 12).equals(V4_PREFIX)) return { network: "ipv4", host: address.subarray(12).join(".") };
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(address.readUInt16BE(i).toString(16));
  return { network: "ipv6", host: groups.join(":") };
}

export function decodeAddresses(payload: Uint8Array): readonly NodeAddress[] {
  const reader = new ByteReader(payload, "addr");
  const count = reader.count(MAX_ADDRESSES, "addresses");
  const addresses: NodeAddress[] = [];
  for (let i = 0; i < count; i++) {
    const time = reader.u32();
    const services = reader.u64();
    const place = hostOf(reader.take(16));
    addresses.push({ time, services, ...place, port: reader.u16be() });
  }
  reader.finish();
  return addresses;
}

/** Addresses of networks unknown here are kept out, as BIP 155 says; a known one of a wrong length is an error. */
export function decodeAddressesV2(payload: Uint8Array): readonly NodeAddress[] {
  const reader = new ByteReader(payload, "addrv2");
  const count = reader.count(MAX_ADDRESSES, "addresses");
  const addresses: NodeAddress[] = [];
  for (let i = 0; i < count; i++) {
    const time = reader.u32();
    const services = reader.compactSize();
    const id = reader.u8();
    const bytes = reader.take(reader.count(MAX_ADDRESS_BYTES, "bytes of address"));
    const port = reader.u16be();
    const expected = ADDRESS_BYTES.get(id);
    if (expected === undefined) continue;
    if (bytes.length !== expected)
      throw malformed("addrv2", `${expected} bytes of address on network ${id}`, bytes.length);
    // 2 is IPv6 proper: a v4 address dressed up as one is not to be gossiped (BIP 155).
    const place = id <= 2 ? hostOf(bytes) : { network: "other" as const, host: "" };
    if (id === 2 && place.network === "ipv4") continue;
    addresses.push({ time, services, ...place, port });
  }
  reader.finish();
  return addresses;
}

/** IPv4 only: all that a node on loopback has to tell. */
export function encodeAddresses(addresses: readonly NodeAddress[]): Uint8Array {
  const writer = new ByteWriter(9 + 30 * addresses.length).compactSize(addresses.length);
  for (const address of addresses) {
    writer.u32(address.time).u64(address.services).put(V4_PREFIX).put(v4Bytes(address.host)).u16be(address.port);
  }
  return writer.done();
}

export function encodeAddressesV2(addresses: readonly NodeAddress[]): Uint8Array {
  const writer = new ByteWriter(9 + 20 * addresses.length).compactSize(addresses.length);
  for (const address of addresses) {
    writer
      .u32(address.time)
      .compactSize(address.services)
      .u8(1)
      .compactSize(4)
      .put(v4Bytes(address.host))
      .u16be(address.port);
  }
  return writer.done();
}

function v4Bytes(host: string): Uint8Array {
  const bytes = host.split(".").map(Number);
  if (bytes.length !== 4 || !bytes.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255)) {
    throw malformed("addr", "an IPv4 address", host);
  }
  return Uint8Array.from(bytes);
}
