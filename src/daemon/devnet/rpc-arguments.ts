/** Reads what a caller gave a method, and refuses as bitcoind does what is of another kind. Undefined: it gave nothing, or null. */
import { RPC_CODE, RpcRefusal } from "./rpc-error.ts";

const HASH_CHARS = 64;

export function hashIn(value: unknown, name: string): string {
  const text = stringIn(value);
  const wrong =
    text.length !== HASH_CHARS
      ? `of length ${HASH_CHARS} (not ${text.length}, for '${shown(text)}')`
      : `hexadecimal string (not '${shown(text)}')`;
  if (!/^[0-9a-f]{64}$/i.test(text)) throw new RpcRefusal(RPC_CODE.INVALID_PARAMETER, `${name} must be ${wrong}`);
  return text.toLowerCase();
}

export function stringIn(value: unknown): string {
  if (typeof value !== "string") throw wrongType(value, "string");
  return value;
}

export function integerIn(value: unknown): number {
  if (typeof value !== "number") throw wrongType(value, "number");
  if (!Number.isSafeInteger(value)) throw new RpcRefusal(RPC_CODE.MISC_ERROR, "JSON integer out of range");
  return value;
}

export function booleanIn(value: unknown, otherwise: boolean): boolean {
  if (value === undefined) return otherwise;
  if (typeof value !== "boolean") throw wrongType(value, "bool");
  return value;
}

/** A number, or as older nodes have it: false for 0, true for 1. */
export function verbosityIn(value: unknown, otherwise: number): number {
  if (value === undefined) return otherwise;
  return typeof value === "boolean" ? Number(value) : integerIn(value);
}

function wrongType(value: unknown, wanted: string): RpcRefusal {
  const type = Array.isArray(value) ? "array" : typeof (value ?? undefined);
  const got = type === "boolean" ? "bool" : type === "undefined" ? "null" : type;
  return new RpcRefusal(RPC_CODE.TYPE_ERROR, `JSON value of type ${got} is not of expected type ${wanted}`);
}

/** What a caller wrote goes back to it, but not at any length. */
export function shown(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
