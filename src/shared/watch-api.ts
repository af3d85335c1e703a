/** Watch lists: what a client posts and what it is answered. What becomes of them is told by `watch` events (events.ts). */
import { type Static, Type } from "typebox";
import { ChainName, Height, orNull, strict, Time } from "./schema.ts";

export const WATCH_LIST_ID = "^[a-z0-9][a-z0-9_-]{0,63}$";

/** Bounds of one list, as its schema and `WatchBook` hold them. */
export const WATCH_LIMITS = {
  addresses: 1_000,
  scripts: 1_000,
  xpubs: 10,
  topics: 100,
  programs: 100,
  confirmations: 10,
  /** The highest number of confirmations that may be asked for. */
  depth: 1_000,
  scriptBytes: 1_024,
} as const;

const Address = Type.String({ minLength: 1, maxLength: 128, description: "as that chain's users write it" });
const Script = Type.String({
  pattern: "^([0-9a-f]{2})+$",
  maxLength: WATCH_LIMITS.scriptBytes * 2,
  description: "output script, lower-case hex",
});
const ExtendedKey = Type.String({
  pattern: "^[1-9A-HJ-NP-Za-km-z]{100,120}$",
  description: "extended public key (BIP32)",
});
const Topic = Type.String({ pattern: "^0x[0-9a-f]{64}$", description: "first topic of logs" });
const Program = Type.String({ pattern: "^[1-9A-HJ-NP-Za-km-z]{32,44}$", description: "program, base58" });
const ListId = Type.String({ pattern: WATCH_LIST_ID, description: "name of the list within its chain" });
const Depths = Type.Array(Type.Integer({ minimum: 1, maximum: WATCH_LIMITS.depth }), {
  maxItems: WATCH_LIMITS.confirmations,
  description: "numbers of blocks at which `confirmed` is told, the movement's own block counted",
});

const lists = {
  addresses: Type.Array(Address, { maxItems: WATCH_LIMITS.addresses }),
  scripts: Type.Array(Script, { maxItems: WATCH_LIMITS.scripts, description: "Bitcoin family" }),
  xpubs: Type.Array(ExtendedKey, { maxItems: WATCH_LIMITS.xpubs, description: "Bitcoin family" }),
  topics: Type.Array(Topic, { maxItems: WATCH_LIMITS.topics, description: "EVM chains" }),
  programs: Type.Array(Program, { maxItems: WATCH_LIMITS.programs, description: "Solana" }),
};

/** POST of a list. At least one thing must be watched. */
export const WatchBody = Type.Object(
  {
    id: Type.Optional(ListId),
    addresses: Type.Optional(lists.addresses),
    scripts: Type.Optional(lists.scripts),
    xpubs: Type.Optional(lists.xpubs),
    topics: Type.Optional(lists.topics),
    programs: Type.Optional(lists.programs),
    confirmations: Type.Optional(Depths),
  },
  strict,
);
export type WatchBody = Static<typeof WatchBody>;

export const WatchListBody = Type.Object({
  id: ListId,
  chain: Type.String(),
  ...lists,
  confirmations: Depths,
  items: Type.Integer({ description: "scripts, accounts and topics looked for, those of extended keys counted" }),
  created_at: Time,
});
export type WatchListBody = Static<typeof WatchListBody>;

export const WatchListsBody = Type.Object({ lists: Type.Array(WatchListBody) });
export type WatchListsBody = Static<typeof WatchListsBody>;

export const WatchParams = Type.Object({ chain: ChainName, id: ListId }, strict);

/** Query of the blocks that may concern a list. */
export const MatchesQuery = Type.Object(
  {
    from: Type.Integer({ minimum: 0, maximum: 0xffff_ffff, description: "height of the first block" }),
    to: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 0xffff_ffff,
        description: "and of the last; as many as are looked at where absent",
      }),
    ),
  },
  strict,
);
export type MatchesQuery = Static<typeof MatchesQuery>;

/** By the blocks' own filters (BIP 158): a block that is not here has nothing of the list; one that is may have. */
export const MatchesBody = Type.Object({
  from: Height,
  to: Type.Integer({ description: "looked at up to here, at most 500 blocks from `from` on" }),
  upstream: Type.String({
    description: "whose filters they are, each held against the header over all filters before it",
  }),
  blocks: Type.Array(
    Type.Object({ hash: Type.String(), height: Height, items: Type.Array(Type.String({ description: "scripts" })) }),
  ),
});
export type MatchesBody = Static<typeof MatchesBody>;

/** Query of a list's unspent outputs. */
export const UnspentQuery = Type.Object(
  {
    item: Type.String({ minLength: 1, maxLength: WATCH_LIMITS.scriptBytes * 2, description: "address or script" }),
    limit: Type.Integer({ minimum: 1, maximum: 1_000, default: 100, description: "outputs of a page" }),
    after: Type.Integer({ minimum: 0, default: 0, description: "`next_after` of the page before" }),
  },
  strict,
);
export type UnspentQuery = Static<typeof UnspentQuery>;

/** An output of a watched script in a block of the best chain that no block of it spends. */
export const UnspentOutputBody = Type.Object({
  item: Type.String({ description: "the script" }),
  txid: Type.String(),
  output: Type.Integer({ minimum: 0 }),
  value: orNull(Type.String({ description: "base units" })),
  block: Type.Object({ hash: Type.String(), height: Height }),
  spending_txid: orNull(Type.String({ description: "of a transaction seen that spends it and is in no block yet" })),
});
export type UnspentOutputBody = Static<typeof UnspentOutputBody>;

/** Since the script is watched: older outputs are not known. */
export const UnspentBody = Type.Object({
  outputs: Type.Array(UnspentOutputBody),
  next_after: orNull(Type.Integer({ description: "`after` of the next page, null at the end" })),
});
export type UnspentBody = Static<typeof UnspentBody>;
