/** What the schemas of every route are made of. */
import { type TSchema, Type } from "typebox";
import { CHAINS } from "./chain.ts";
import { TIERS } from "./tier.ts";

export const strict = { additionalProperties: false } as const;

export function orNull<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

export function oneOf<const T extends string[]>(values: readonly [...T], description: string) {
  return Type.Enum(values, { type: "string", description });
}

export const Time = Type.String({ format: "date-time", description: "RFC 3339, UTC" });
export const Hash = Type.String({
  pattern: "^[0-9a-f]{64}$",
  description: "block hash as that chain's users print it: 64 lower-case hex digits, reversed byte order",
});
export const Height = Type.Integer({ minimum: 0, maximum: 0xffff_ffff });
export const ChainName = oneOf(CHAINS, "a chain that this build knows");
export const TierName = oneOf(TIERS, "service tier");
export const Ref = Type.Object({ hash: Hash, height: Height });
