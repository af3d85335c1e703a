/** Words to assemble a WebAssembly module with: instructions as functions, and the sections of the binary format. */

/** Bytes, nested as it is convenient to write them. */
export type Code = readonly (number | Code)[];

// Instructions, https://webassembly.github.io/spec/core/appendix/index-instructions.html
export const get = (local: number): Code => [0x20, unsigned(local)];
export const set = (local: number): Code => [0x21, unsigned(local)];
export const tee = (local: number): Code => [0x22, unsigned(local)];
export const i32 = (value: number): Code => [0x41, signed(value)];
export const loop = (...body: Code): Code => [0x03, 0x40, body, END];
export const when = (...body: Code): Code => [0x04, 0x40, body, END];
export const branchIf = (depth: number): Code => [0x0d, depth];
export const END = 0x0b;
export const EQZ = 0x45;
export const LT_U = 0x49;
export const ADD = 0x6a;

const SECTION = { types: 1, functions: 3, memory: 5, exports: 7, code: 10, data: 11 } as const;

export function section(name: keyof typeof SECTION, entries: Code): Code {
  return [SECTION[name], sized(flatten([unsigned(entries.length), entries]))];
}

export function segment(offset: number, bytes: number[]): Code {
  return [0, i32(offset), END, sized(bytes)];
}

export function sized(bytes: number[]): Code {
  return [unsigned(bytes.length), bytes];
}

/** LEB128 */
export function unsigned(value: number): Code {
  const bytes: number[] = [];
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value];
}

function signed(value: number): Code {
  const bytes: number[] = [];
  for (; value < -64 || value > 63; value >>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value & 0x7f];
}

export function flatten(code: Code, into: number[] = []): number[] {
  for (const part of code) {
    if (typeof part === "number") into.push(part);
    else flatten(part, into);
  }
  return into;
}
