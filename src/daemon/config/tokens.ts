/**
 * `control_tokens`: who else than the owner of the data directory may use the control API, and as what. A dump leaves the tokens out;
 * so an entry without one loads, with a warning, and lets nobody in.
 */
import { ROLES, type Role } from "../../shared/api.ts";
import { type Place, type Read, conflict, listOf, oneOf, section, text, wrongValue } from "./values.ts";

export interface ControlToken {
  /** Who the audit says did it. */
  readonly name: string;
  readonly role: Role;
  /** A secret. */
  readonly token: string;
}

export type FileToken = Omit<ControlToken, "token"> & { readonly token: string | null };

const MAX_TOKENS = 64;
const MIN_TOKEN_LENGTH = 16;
const MAX_TOKEN_LENGTH = 512;
/** Who the audit calls so is none of these tokens: the data directory's own, and whoever sent the signal. */
const RESERVED_NAMES: readonly string[] = ["cookie", "sighup"];

const tokenName: Read<string> = (value, place) => {
  if (typeof value !== "string" || !/^[\w-]{1,64}$/.test(value) || RESERVED_NAMES.includes(value.toLowerCase())) {
    const expected = `a name of up to 64 letters, digits, "-" and "_", other than ${RESERVED_NAMES.join(" and ")}`;
    throw wrongValue(place, expected, value);
  }
  return value;
};

/** It stands in a header, so it holds what a header may. */
const secret: Read<string> = (value, place) => {
  const ok = typeof value === "string" && /^[\x21-\x7e]+$/.test(value);
  if (!ok || value.length < MIN_TOKEN_LENGTH || value.length > MAX_TOKEN_LENGTH) {
    const expected = `${MIN_TOKEN_LENGTH} to ${MAX_TOKEN_LENGTH} characters of printable ASCII without spaces`;
    throw wrongValue(place, expected, value);
  }
  return value;
};

const readEntry: Read<FileToken> = (value, place) => {
  const { name, role, token } = section({ name: text, role: oneOf(ROLES), token: secret })(value, place);
  if (name === undefined || role === undefined) {
    const missing = name === undefined ? "name" : "role";
    throw wrongValue({ ...place, key: `${place.key}.${missing}` }, "name, role and token in each entry", undefined);
  }
  return { name: tokenName(name, { ...place, key: `${place.key}.name` }), role, token: token ?? null };
};

/** Names are unique, and so are the tokens: the audit has to know who it was. */
export const readTokens: Read<readonly FileToken[]> = (value, place) => {
  const entries = listOf(readEntry, MAX_TOKENS)(value, place);
  const names = new Set<string>();
  const tokens = new Map<string, string>();
  for (const [i, { name, token }] of entries.entries()) {
    const at = (key: string): Place => ({ ...place, key: `${place.key}[${i}].${key}` });
    if (names.has(name)) throw conflict(at("name"), "a name of its own for each token", `${name} twice`);
    names.add(name);
    if (token === null) continue;
    const other = tokens.get(token);
    if (other !== undefined) throw conflict(at("token"), "a token of its own for each name", `the one of ${other}`);
    tokens.set(token, name);
  }
  return entries;
};

/** Those that let somebody in. */
export function usableTokens(written: readonly FileToken[]): readonly ControlToken[] {
  return written.flatMap(({ name, role, token }) => (token === null ? [] : [{ name, role, token }]));
}

export function tokenWarnings(written: readonly FileToken[]): readonly string[] {
  return written
    .filter(({ token }) => token === null)
    .map(({ name }) => `control_tokens has no token for ${name}: nobody can use it until one is given`);
}
