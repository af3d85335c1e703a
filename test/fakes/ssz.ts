/** SSZ as nodes write it: from values to bytes, and to the beacon API's JSON. */
import type { Ssz, SszValue } from "../../src/daemon/chain/beacon/ssz.ts";

export function encodeSsz<S extends Ssz>(type: S, value: SszValue<S>): Buffer {
  return encode(type, value);
}

function encode(type: Ssz, value: unknown): Buffer {
  switch (type.kind) {
    case "safe":
      return encode({ kind: "uint", bytes: 8 }, BigInt(value as number));
    case "uint":
      return Buffer.from((value as bigint).toString(16).padStart(type.bytes * 2, "0"), "hex").reverse();
    case "bytes":
    case "byteList":
      return Buffer.from(value as Uint8Array);
    case "vector":
      return Buffer.concat((value as unknown[]).map((item) => encode(type.of, item)));
    case "container": {
      const parts = Object.entries(type.fields).map(([name, field]) => ({
        isFixed: isFixed(field),
        bytes: encode(field, (value as Record<string, unknown>)[name]),
      }));
      let at = parts.reduce((sum, part) => sum + (part.isFixed ? part.bytes.length : 4), 0);
      const head = parts.map((part) => {
        if (part.isFixed) return part.bytes;
        const offset = Buffer.alloc(4);
        offset.writeUInt32LE(at);
        at += part.bytes.length;
        return offset;
      });
      return Buffer.concat([...head, ...parts.filter((part) => !part.isFixed).map((part) => part.bytes)]);
    }
  }
}

function isFixed(type: Ssz): boolean {
  if (type.kind === "vector") return isFixed(type.of);
  return type.kind === "container" ? Object.values(type.fields).every(isFixed) : type.kind !== "byteList";
}

export function jsonOf(value: unknown): unknown {
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString("hex")}`;
  if (Array.isArray(value)) return value.map(jsonOf);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, jsonOf(field)]));
  }
  return String(value);
}
