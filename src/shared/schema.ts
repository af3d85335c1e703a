/** What the schemas of every route are made of. */
import { type TSchema, Type } from "typebox";
import { CHAIN_NAME, CHAINS } from "./chain.ts";
import { TIERS } from "./tier.ts";

export const strict = { additionalProperties: false } as const;

export function orNull<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

export function oneOf<const T extends string[]>(values: readonly [...T], description: string) {
  return Type.Enum(values, { type: "string", description });
}

export const Time = Type.String({ format: "date-time", description: "RFC 3339, UTC" });
export const HASH_PATTERN = "((0x)?[0-9a-f]{64}|[1-9A-HJ-NP-Za-km-z]{32,44})";
export const Hash = Type.String({
  pattern: `^${HASH_PATTERN}$`,
  description:
    "block hash as that chain's users print it: 64 lower-case hex digits in reversed byte order (Bitcoin family), 0x and 64 (EVM), base58 (Solana)",
});
export const Height = Type.Integer({ minimum: 0, maximum: 0xffff_ffff });
export const ChainName = Type.String({
  pattern: CHAIN_NAME.source,
  description: `a chain's name: ${CHAINS.join(", ")}, or one that a plug-in brings`,
});
export const TierName = oneOf(TIERS, "service tier");
export const Ref = Type.Object({ hash: Hash, height: Height });
