/** Plug-ins taken over while the daemon runs: whose line is opened anew, with which books, and that all others stay. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ChainLine } from "../../../src/daemon/line/line.ts";
import type { ChainRow } from "../../../src/daemon/line/chains.ts";
import type { ChainConfig, Config } from "../../../src/daemon/config/index.ts";
import type { Plugins } from "../../../src/daemon/plugins/load.ts";
import type { StreamDraft } from "../../../src/daemon/relay/index.ts";
import { createSwap } from "../../../src/daemon/plugins/swap.ts";
import { FakeClock } from "../../fakes/clock.ts";

function scene(...running: readonly ChainLine[]) {
  const told: string[] = [];
  const events: StreamDraft[] = [];
  const rows = new Map<string, ChainRow>();
  let lines: readonly ChainLine[] = running;
  let gate: Promise<void> | null = null;
  const closing = { is: false };
  const plugins: Plugins = {
    row: (chain) => rows.get(chain),
    statuses: () => [],
    async load(paths) {
      told.push(`load ${paths.join(" ")}`);
      await gate;
      return [];
    },
  };
  const swap = createSwap({
    plugins,
    lines: () => lines,
    setLines(next) {
      lines = next;
      told.push(`lines ${next.map(nameOf).join(" ")}`);
    },
    openLine(config, before) {
      const row = rows.get(config.chain);
      if (row === undefined) return null;
      if (row.shortName === "unopenable") throw new Error("an upstream that is not of that family");
      told.push(`open ${config.chain}${before === null ? "" : " with the books of before"}`);
      return lineOf(config.chain, row, told, config.network);
    },
    publish: (draft) => void events.push(draft),
    flush: () => told.push("flush"),
    clock: new FakeClock(),
    isClosing: () => closing.is,
  });
  return {
    told,
    events,
    closing,
    swap,
    rows,
    lines: () => lines,
    hold: (until: Promise<void>) => {
      gate = until;
    },
  };
}

const nameOf = ({ chain, row }: ChainLine): string => `${chain}${row.shortName}`;

function rowOf(chain: string, version: string, family: ChainRow["family"] = "evm"): ChainRow {
  const plugin = { url: `file:///${chain}?v=${version}`, source: "" };
  return { chain, family, shortName: version, plugin, open: () => assert.fail() };
}

function lineOf(chain: string, row: ChainRow, told: string[], network = "main"): ChainLine {
  const name = `${chain}${row.shortName}`;
  const codec = { family: row.family, network };
  const rest = { start: () => void told.push(`start ${name}`), close: async () => void told.push(`close ${name}`) };
  return { chain, network: `${network} shown`, codec, row, ...rest } as unknown as ChainLine;
}

function configOf(...chains: readonly (readonly [string, string])[]): Config {
  const list = chains.map(([chain, network]) => ({ chain, network }) as ChainConfig);
  return { plugins: ["./a.ts"], chains: list } as unknown as Config;
}

describe("a reload of plug-ins", () => {
  test("opens the new version's line with the books of before, once the old one is closed; others stay", async () => {
    const told: string[] = [];
    const bitcoin = lineOf("bitcoin", rowOf("bitcoin", ""), told);
    const s = scene(bitcoin, lineOf("tiny", rowOf("tiny", "1"), told));
    s.rows.set("tiny", rowOf("tiny", "2"));
    await s.swap(configOf(["bitcoin", "mainnet"], ["tiny", "main"]));
    assert.deepEqual(s.told, [
      "load ./a.ts",
      "open tiny with the books of before",
      "lines bitcoin tiny2",
      "start tiny2",
      "lines bitcoin tiny2",
    ]);
    assert.deepEqual(told, ["close tiny1"]);
    assert.equal(s.lines()[0], bitcoin);
    assert.deepEqual(s.events, []);
  });

  test("opens nothing once the daemon stops, and closes what it has opened", async () => {
    const s = scene();
    const loading = Promise.withResolvers<void>();
    s.hold(loading.promise);
    s.rows.set("tiny", rowOf("tiny", "1"));
    const swapped = s.swap(configOf(["tiny", "main"]));
    s.closing.is = true;
    loading.resolve();
    await swapped;
    assert.deepEqual(s.told, ["load ./a.ts"]);

    const told: string[] = [];
    const before = lineOf("tiny", rowOf("tiny", "0"), told);
    const t = scene({ ...before, close: async () => void (t.closing.is = true) });
    t.rows.set("tiny", rowOf("tiny", "1"));
    await t.swap(configOf(["tiny", "main"]));
    assert.deepEqual(t.told, ["load ./a.ts", "open tiny with the books of before", "close tiny1"]);
  });

  test("takes the others over where one cannot be opened, and tells it", async () => {
    const s = scene(lineOf("old", rowOf("old", "1"), []));
    s.rows.set("bad", rowOf("bad", "unopenable"));
    s.rows.set("good", rowOf("good", "1"));
    await assert.rejects(s.swap(configOf(["bad", "main"], ["good", "main"])), /not of that family/);
    assert.deepEqual(s.lines().map(nameOf), ["good1"]);
    assert.deepEqual(
      s.events.map((event) => [event.chain, event.type, event.type === "gap" && event.data.reason]),
      [["old", "gap", "chain_replaced"]],
    );
  });

  test("that brings the same row again changes nothing", async () => {
    const row = rowOf("tiny", "1");
    const s = scene(lineOf("tiny", row, []));
    s.rows.set("tiny", row);
    await s.swap(configOf(["tiny", "main"]));
    assert.ok(!s.told.some((each) => each.startsWith("open")));
  });

  test("that is refused leaves the line that is there", async () => {
    const line = lineOf("tiny", rowOf("tiny", "1"), []);
    const s = scene(line);
    await s.swap(configOf(["tiny", "main"]));
    assert.deepEqual(s.lines(), [line]);
  });

  for (const [what, family, network] of [
    ["another family", "svm", "main"],
    ["another network", "evm", "test"],
  ] as const) {
    test(`that makes it a chain of ${what} begins new books, behind a gap`, async () => {
      const s = scene(lineOf("tiny", rowOf("tiny", "1"), []));
      s.rows.set("tiny", rowOf("tiny", "2", family));
      await s.swap(configOf(["tiny", network]));
      assert.deepEqual(s.told.slice(1, 5), ["open tiny", "flush", "lines tiny2", "start tiny2"]);
      const [gap] = s.events;
      assert.ok(gap?.type === "gap");
      assert.deepEqual(
        [gap.chain, gap.network, gap.data],
        ["tiny", "main shown", { from: null, to: null, reason: "chain_replaced" }],
      );
    });
  }

  test("leaves no line that is closed where the new one cannot be opened", async () => {
    const told: string[] = [];
    const s = scene(lineOf("tiny", rowOf("tiny", "1"), told));
    s.rows.set("tiny", { ...rowOf("tiny", "2", "svm"), shortName: "unopenable" });
    await assert.rejects(s.swap(configOf(["tiny", "main"])), /not of that family/);
    assert.deepEqual([told, s.lines()], [["close tiny1"], []]);
  });

  test("opens a chain that is new, closes one that is configured no more, and never a built-in one", async () => {
    const told: string[] = [];
    const s = scene(lineOf("bitcoin", rowOf("bitcoin", ""), told), lineOf("gone", rowOf("gone", "1"), told));
    s.rows.set("fresh", rowOf("fresh", "1"));
    await s.swap(configOf(["fresh", "main"]));
    assert.deepEqual(s.lines().map(nameOf), ["bitcoin", "fresh1"]);
    assert.deepEqual([told, s.events.map(({ chain }) => chain)], [["close gone1"], ["gone"]]);
  });

  test("waits for the one before it, also for one that failed", async () => {
    const s = scene();
    const gate = Promise.withResolvers<void>();
    s.hold(gate.promise);
    const first = s.swap(configOf(["tiny", "main"]));
    const second = s.swap(configOf(["tiny", "main"]));
    await new Promise<void>((resolve) => setImmediate(resolve));
    assert.equal(s.told.length, 1);
    gate.reject(new Error("disk"));
    await assert.rejects(first, /disk/);
    s.hold(Promise.resolve());
    await assert.rejects(
      second.then(() => assert.fail("done")),
      /done|disk/,
    );
  });
});
