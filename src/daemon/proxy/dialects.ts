/** The dialect of each family, and the methods of a chain. */
import type { Chain, ChainFamily } from "../../shared/chain.ts";
import type { Dialect } from "./dialect.ts";
import { EVM } from "./dialect-evm.ts";
import { SVM } from "./dialect-svm.ts";
import { UTXO } from "./dialect-utxo.ts";
import type { MethodRow } from "./methods.ts";

const DIALECTS: Readonly<Record<ChainFamily, Dialect>> = { utxo: UTXO, evm: EVM, svm: SVM };

/** A node of the 0.14 line, as Dogecoin's, tells there whether an address is its wallet's. */
const NOT_ON: Readonly<Record<string, readonly string[]>> = { dogecoin: ["validateaddress"] };

export function dialectOf(family: ChainFamily): Dialect {
  return DIALECTS[family];
}

/** What is let through to nodes of this chain. */
export function methodsOf(chain: Chain, family: ChainFamily): ReadonlyMap<string, MethodRow> {
  const off = Object.hasOwn(NOT_ON, chain) ? (NOT_ON[chain] ?? []) : [];
  const rows = Object.entries(DIALECTS[family].methods).filter(([method]) => !off.includes(method));
  return new Map(rows.map(([method, row]) => [method, { method, ...row }]));
}
