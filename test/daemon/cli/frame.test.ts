import test from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { type FrameInput, type Line, frame, textOf, widthOf } from "../../../src/daemon/cli/frame.ts";
import type { DaemonView, UpstreamView } from "../../../src/daemon/view.ts";

const HASH = "00000000000000000007878ec04bb2b2e12317804810f4c26033585b3f81ffaa";
const NOW = 1_700_000_000_000;

function upstream(index: number, change: Partial<UpstreamView> = {}): UpstreamView {
  return {
    name: `ltc-${index}`,
    chain: "litecoin",
    state: "up",
    agent: "/LitecoinCore:0.21.2.1/",
    height: 2_600_000,
    firsts: 7,
    trouble: null,
    ...change,
  };
}

function view(change: Partial<DaemonView> = {}): DaemonView {
  return {
    network: "devnet",
    ethereum: null,
    startedAt: NOW - 90_000,
    tiers: [{ tier: "ENTERPRISE", url: "http://127.0.0.1:9000", subscribers: 3 }],
    chains: [
      {
        chain: "litecoin",
        network: "devnet",
        tip: { height: 2_600_001, hash: HASH, at: NOW - 4_000, phase: "validated" },
        status: "synced",
        relayed: 12,
        reorgs: 1,
      },
    ],
    upstreams: [upstream(1)],
    breakers: [{ name: "upstream:litecoin:ltc-1", state: "closed", note: null }],
    relayMs: { p50: 0.213, p99: 0.8, count: 1_234 },
    ...change,
  };
}

function lines(change: Partial<FrameInput> = {}, size = { rows: 24, columns: 80 }): string[] {
  return frame({ version: "0.1.0", view: view(), news: () => [], now: NOW, ...change }, size).map(textOf);
}

test("what an operator looks for stands in the frame", () => {
  const text = lines().join("\n");
  assert.match(text, /^sprint 0\.1\.0 {2}devnet: embedded nodes, no real blocks.* up 1m30s$/m);
  assert.match(text, /litecoin .* 2600001 {2}…\S*3f81ffaa +4s {2}validated +12 +1$/m);
  assert.match(text, /ltc-1 +up +2600000 +7 {2}\/LitecoinCore/);
  assert.match(text, /ENTERPRISE +http:\/\/127\.0\.0\.1:9000 +3$/m);
  assert.match(text, /p50 0\.21 ms {2}p99 0\.80 ms {2}\(1234 deliveries\) {3}1 breakers? closed/);
});

test("a wide terminal shows the whole hash", () => {
  assert.match(lines({}, { rows: 40, columns: 130 }).join("\n"), new RegExp(HASH));
});

test("columns stand under their heads", () => {
  const [head = "", row = ""] = lines().slice(2, 4);
  assert.equal(head.trimEnd().length, row.trimEnd().length);
  assert.equal(head.indexOf("HEIGHT") + "HEIGHT".length, row.indexOf("2600001") + "2600001".length);
});

test("those in trouble come first, with the reason, and what has no room is counted", () => {
  const upstreams = [...Array(30).keys()].map((i) => upstream(i));
  upstreams.push(upstream(99, { state: "cordoned", trouble: "SPRINT_HEADER_BAD_WORK" }));
  const text = lines({ view: view({ upstreams }) });
  const first = text.findIndex((line) => line.startsWith("UPSTREAM")) + 1;
  assert.match(text[first] ?? "", /ltc-99 +cordoned .*SPRINT_HEADER_BAD_WORK/);
  assert.match(text.join("\n"), /and \d+ more; 30 of 31 are up/);
});

test("of an upstream's trouble the cause is told, as its name stands beside", () => {
  const cause = "connect ECONNREFUSED 127.0.0.1:5052";
  const told = [
    `expected a node at ws://127.0.0.1:8546, got: ${cause}`,
    `expected a beacon node at http://127.0.0.1:5052, got: ${cause}`,
    `eth_chainId: expected a node at http://127.0.0.1:8545, got: ${cause}`,
    `p2p://127.0.0.1:8333: ${cause}`,
    cause,
  ];
  const upstreams = told.map((trouble, i) => upstream(i, { state: "down", trouble }));
  const text = lines({ view: view({ upstreams }) });
  assert.equal(
    text.filter((line) => /^ltc-\d +down +2600000 +7 {2}connect ECONNREFUSED 127\.0\.0\.1:5052$/.test(line)).length,
    5,
  );
});

test("a chain without a block and an open breaker are told", () => {
  const chain = { chain: "dogecoin", network: "mainnet", tip: null, status: "down", relayed: 0, reorgs: 0 } as const;
  const breakers = [{ name: "upstream:dogecoin:doge-1", state: "open", note: "connect ECONNREFUSED" }] as const;
  const text = lines({ view: view({ chains: [chain], breakers, relayMs: null }) }).join("\n");
  assert.match(text, /dogecoin +mainnet +down, no block yet/);
  assert.match(
    text,
    /no delivery yet {3}0 of 1 breaker closed\nupstream:dogecoin:doge-1 {2}open {8}connect ECONNREFUSED$/m,
  );
});

test("each of the five states has its colour, the worst stand first, and what has no room is counted", () => {
  const states = ["closed", "force_close", "half_open", "force_open", "open"] as const;
  const breakers = states.map((state) => ({ name: `is ${state}`, state, note: `note of ${state}` }));
  const shown = frame(
    { version: "0.1.0", view: view({ breakers }), news: () => [], now: NOW },
    { rows: 40, columns: 80 },
  );
  const rows = shown.filter((line) => /note of/.test(textOf(line)));
  assert.deepEqual(
    rows.map((line) => [textOf(line).trimEnd().replace(/ +/g, " "), line[1]?.style]),
    [
      ["is open open note of open", "bad"],
      ["is force_open force_open note of force_open", "forced"],
      ["is half_open half_open note of half_open", "warn"],
      ["is force_close force_close note of force_close", "forced"],
    ],
  );
  const many = Array.from({ length: 9 }, (_, i) => ({ name: `b${i}`, state: "open", note: null }) as const);
  assert.match(lines({ view: view({ breakers: many }) }, { rows: 40, columns: 80 }).join("\n"), /^b2 .*\nand 6 more/m);
});

test("five chains fill a terminal of 80 by 24, heights of nine digits and hashes of three kinds under their heads", () => {
  const hashes = [HASH, `0x${"ab".repeat(32)}`, "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"];
  const names = ["bitcoin", "litecoin", "dogecoin", "ethereum", "solana"];
  const chains = names.map((chain, i) => ({
    chain,
    network: "devnet",
    tip: { height: 10 ** (i * 2) + 12, hash: hashes[i % 3] ?? "", at: NOW, phase: "announced" } as const,
    status: "synced" as const,
    relayed: 1_234_567,
    reorgs: 0,
  }));
  const upstreams = names.map((chain, i) => upstream(i, { chain, height: 10 ** (i * 2) + 12 }));
  const tiers = (["FREE", "BUSINESS", "ENTERPRISE"] as const).map((tier, i) => {
    return { tier, url: `http://127.0.0.1:4000${i}`, subscribers: i };
  });
  const shown = {
    view: view({ ethereum: "embedded", chains, upstreams, tiers }),
    news: (max: number) => Array.from({ length: max }, (): Line => []),
  };
  const narrow = lines(shown);
  for (const line of narrow.slice(3, 8)) assert.equal(line.length, narrow[2]?.length);
  assert.ok(narrow.slice(2, 8).every((line) => line.length <= 80));
  assert.match(narrow.join("\n"), /no real blocks; no anvil .* up 1m30s/);
  assert.equal(narrow.filter((line) => /^ltc-\d/.test(line)).length, 5);
  assert.ok(narrow.includes("SUBSCRIBERS at 127.0.0.1  FREE :40000 0  BUSINESS :40001 1  ENTERPRISE :40002 2"));
  const wide = lines(shown, { rows: 50, columns: 140 }).join("\n");
  assert.match(wide, /Ethereum: an embedded producer, as anvil is missing/);
  assert.ok(hashes.every((hash) => wide.includes(hash)));
  assert.match(wide, /^BUSINESS +http:\/\/127\.0\.0\.1:40001 +1$/m);
});

test("the newest news is at the bottom, above the keys", () => {
  const news: Line[] = [...Array(50).keys()].map((i) => [{ text: `news ${i}`, style: "plain" }]);
  const text = lines({ news: (max) => news.slice(-max) });
  assert.equal(text.at(-2), "news 49");
  assert.equal(text.at(-1), "q or Ctrl-C stops");
});

test("no frame is higher than rows - 1 or wider than the terminal, and none lets a control character through", () => {
  const sizes = fc.record({ rows: fc.integer({ min: 2, max: 60 }), columns: fc.integer({ min: 1, max: 200 }) });
  const agents = fc.array(fc.string({ unit: "binary-ascii", maxLength: 60 }), { maxLength: 20 });
  fc.assert(
    fc.property(sizes, agents, fc.nat(60), (size, names, newsCount) => {
      const upstreams = names.map((agent, i) => upstream(i, { agent }));
      const news: Line[] = Array.from({ length: newsCount }, () => [{ text: "\u001b[31mnews", style: "plain" }]);
      const shown = frame(
        { version: "0.1.0", view: view({ upstreams }), news: (max) => news.slice(-max), now: NOW },
        size,
      );
      assert.ok(shown.length <= size.rows - 1);
      for (const line of shown) {
        assert.ok(widthOf(line) <= size.columns);
        assert.doesNotMatch(textOf(line), /\p{Cc}/u);
      }
    }),
  );
});
