/** `sprint watch …`: addresses and more whose movements subscribers are told of. */
import { TIER_ROUTES, WatchListBody, WatchListsBody } from "../../shared/api.ts";
import type { Chain } from "../../shared/chain.ts";
import { EXIT, table } from "../../shared/cli.ts";
import { counted } from "./figurestext.ts";
import type { AskOptions } from "./connect.ts";
import { type Io, printResult } from "./io.ts";
import { openListener } from "./listener.ts";

type OfChain = AskOptions & { readonly chain: Chain };

export interface AddOptions extends OfChain {
  readonly id?: string;
  readonly address?: readonly string[];
  readonly script?: readonly string[];
  readonly xpub?: readonly string[];
  readonly topic?: readonly string[];
  readonly program?: readonly string[];
  readonly confirmations?: readonly number[];
}

export async function add(options: AddOptions, io: Io): Promise<number> {
  const { id, address, script, xpub, topic, program, confirmations } = options;
  const lists = { addresses: address, scripts: script, xpubs: xpub, topics: topic, programs: program };
  const written = Object.entries({ id, ...lists, confirmations }).filter(([, value]) => value !== undefined);
  const listener = await openListener(options, io);
  const answer = await listener.post(WatchListBody, path(options.chain), Object.fromEntries(written));
  printResult(io, options, answer, () => {
    const at = answer.confirmations.length === 0 ? "" : `, confirmed at ${answer.confirmations.join(", ")}`;
    return `${answer.id} watches ${contentsOf(answer)} of ${answer.chain}${at}; subscribe to watch events to hear of them`;
  });
  return EXIT.DONE;
}

export async function list(options: OfChain, io: Io): Promise<number> {
  const listener = await openListener(options, io);
  const answer = await listener.ask(WatchListsBody, path(options.chain));
  printResult(io, options, answer, () => listsText(answer, options.chain));
  return EXIT.DONE;
}

export async function remove(id: string, options: OfChain, io: Io): Promise<number> {
  const listener = await openListener(options, io);
  await listener.remove(
    TIER_ROUTES.watchList.replace(":chain", encodeURIComponent(options.chain)).replace(":id", encodeURIComponent(id)),
  );
  printResult(io, options, { removed: id }, () => `${id} is watched no more`);
  return EXIT.DONE;
}

function path(chain: Chain): string {
  return TIER_ROUTES.watchLists.replace(":chain", encodeURIComponent(chain));
}

export function listsText({ lists }: WatchListsBody, chain: Chain): string {
  if (lists.length === 0) return `nothing of ${chain} is watched; sprint watch add --chain ${chain} --address ADDRESS`;
  const rows = lists.map((each) => [
    each.id,
    contentsOf(each),
    each.items,
    each.confirmations.length === 0 ? null : each.confirmations.join(", "),
    each.created_at,
  ]);
  return table(["ID", "WATCHES", "ITEMS", "CONFIRMATIONS", "SINCE"], rows);
}

/** "2 addresses, 1 xpub" */
function contentsOf(each: WatchListBody): string {
  const parts = [
    each.addresses.length === 1 ? "1 address" : `${each.addresses.length} addresses`,
    counted(each.scripts.length, "script"),
    counted(each.xpubs.length, "xpub"),
    counted(each.topics.length, "topic"),
    counted(each.programs.length, "program"),
  ];
  return parts.filter((part) => !part.startsWith("0 ")).join(", ");
}
