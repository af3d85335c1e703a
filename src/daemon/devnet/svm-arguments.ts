/** Reads what a caller gave a method of the Solana node, and refuses what is of another kind with -32602. */
import { decodeBase58 } from "../chain/index.ts";
import type { SvmCommitment } from "./svm-bank.ts";
import { SVM_RPC_CODE, SvmRefusal } from "./svm-request.ts";

export type SvmConfig = Readonly<Record<string, unknown>>;

export function invalidParams(message: string): SvmRefusal {
  return new SvmRefusal(SVM_RPC_CODE.INVALID_PARAMS, message);
}

/** An object, or nothing. */
export function configIn(value: unknown): SvmConfig {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw wrongType(value, "an object");
  return value as SvmConfig;
}

/** A whole number of 0 to 2^53 - 1. */
export function numberIn(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw wrongType(value, "u64");
  return value;
}

export function optionalNumberIn(value: unknown): number | null {
  return value === undefined || value === null ? null : numberIn(value);
}

export function booleanIn(value: unknown, otherwise: boolean): boolean {
  if (value === undefined || value === null) return otherwise;
  if (typeof value !== "boolean") throw wrongType(value, "a boolean");
  return value;
}

export function textIn(value: unknown): string {
  if (typeof value !== "string") throw wrongType(value, "a string");
  return value;
}

export function listIn(value: unknown, maxLength: number): readonly unknown[] {
  if (!Array.isArray(value)) throw wrongType(value, "a sequence");
  if (value.length > maxLength) throw invalidParams(`Too many inputs provided; max ${maxLength}`);
  return value;
}

export function choiceIn<T extends string>(value: unknown, choices: readonly T[], otherwise: T): T {
  if (value === undefined || value === null) return otherwise;
  const found = choices.find((choice) => choice === value);
  if (found === undefined) {
    const expected = choices.map((choice) => `\`${choice}\``).join(", ");
    throw invalidParams(`Invalid params: unknown variant \`${shown(value)}\`, expected one of ${expected}.`);
  }
  return found;
}

const COMMITMENTS = ["processed", "confirmed", "finalized"] as const;

export function commitmentIn(config: SvmConfig): SvmCommitment {
  return choiceIn(config["commitment"], COMMITMENTS, "finalized");
}

/** `check_is_at_least_confirmed`: what is only processed has no block to hand out. */
export function settledCommitmentIn(config: SvmConfig): SvmCommitment {
  const commitment = commitmentIn(config);
  if (commitment === "processed") throw invalidParams("Method does not support commitment below `confirmed`");
  return commitment;
}

/** base58 of `sizeBytes` bytes, given back as text. `wrong` makes the message. */
export function base58In(value: unknown, sizeBytes: number, wrong = "Invalid param: Invalid"): string {
  const text = textIn(value);
  if (decodeBase58(text, sizeBytes) === null) throw invalidParams(wrong);
  return text;
}

export const ADDRESS_BYTES = 32;
export const SIGNATURE_BYTES = 64;

function wrongType(value: unknown, expected: string): SvmRefusal {
  const kind = value === null ? "null" : Array.isArray(value) ? "sequence" : typeof value;
  return invalidParams(`Invalid params: invalid type: ${kind} \`${shown(value)}\`, expected ${expected}.`);
}

/** What a caller wrote goes back to it, but not at any length. */
function shown(value: unknown): string {
  const text = typeof value === "object" ? "" : String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
