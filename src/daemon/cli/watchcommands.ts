/** The commands about what a chain's users watch. */
import type { Command } from "commander";
import type { Io } from "./io.ts";
import { type Done, collect, countList, example, ofChain } from "./options.ts";

export function addWatching(program: Command, io: Io, done: Done): void {
  ofChain(program.command("stats"))
    .description("what a chain's users watch: fees, mempool, work and pools, gas, slots and validators")
    .option("--watch", "again every 2 s until Ctrl-C", false)
    .addHelpText("after", example("sprint stats --chain bitcoin", "sprint stats --chain ethereum --watch"))
    .action(async (options) => done((await import("./stats.ts")).stats(options, io)));

  const lists = () => import("./watchlists.ts");
  const watch = program.command("watch").description("addresses and more whose movements are told").usage("<command>");
  watch.addHelpText(
    "after",
    example("sprint watch add --chain bitcoin --address ADDRESS", "sprint watch list --chain bitcoin"),
  );
  ofChain(watch.command("add"))
    .description("watch something; subscribers of watch events are told: seen, mined, confirmed, final, reverted")
    .option("--id <name>", "name of the list; else it gets one")
    .option("--address <address>", "as the chain's users write it; repeatable", collect)
    .option("--script <hex>", "output script (Bitcoin family); repeatable", collect)
    .option("--xpub <key>", "extended public key (Bitcoin family); repeatable", collect)
    .option("--topic <hash>", "first topic of logs (Ethereum and its like); repeatable", collect)
    .option("--program <key>", "program (Solana); repeatable", collect)
    .option("--confirmations <n,n>", "numbers of blocks at which confirmed is told", countList)
    .addHelpText(
      "after",
      example(
        "sprint watch add --chain bitcoin --address bc1q… --confirmations 1,6",
        "sprint watch add --chain ethereum --id treasury --address 0x… --address 0x…",
      ),
    )
    .action(async (options) => done((await lists()).add(options, io)));
  ofChain(watch.command("list"))
    .description("the lists of a chain")
    .addHelpText("after", example("sprint watch list --chain bitcoin --json"))
    .action(async (options) => done((await lists()).list(options, io)));
  ofChain(watch.command("remove <list>"))
    .description("take a list back")
    .addHelpText("after", example("sprint watch remove --chain ethereum treasury"))
    .action(async (id, options) => done((await lists()).remove(id, options, io)));
}
