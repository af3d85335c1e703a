/** What the API is told about chains, blocks and upstreams, read from a real tree and race ledger. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { openBooks } from "../../src/daemon/line/books.ts";
import { type Catalog, chainViews, createCatalog } from "../../src/daemon/catalog.ts";
import type { ChainLine } from "../../src/daemon/line/line.ts";
import { BUILT_IN_ROWS } from "../../src/daemon/line/chains.ts";
import { NO_ORDERS } from "../../src/daemon/orders.ts";
import { FakeFeed, Journey, type MinedBlock, bodyOf } from "./line/journey.ts";

const NO_RPC: ChainLine["rpc"] = { handle: () => assert.fail("not asked here"), close: () => {} };

/** A line whose upstreams are in the hands of a test. */
function lineOf(j: Journey, feeds: readonly FakeFeed[]): ChainLine {
  const { chain, codec, ingest, race, pipeline, clock } = j;
  const row = BUILT_IN_ROWS.find((each) => each.chain === chain) as ChainLine["row"];
  const config = {
    chain,
    network: "regtest",
    upstreams: [],
    checkpoint: null,
    mempool: false,
    signatures: null,
  } as const;
  const books = openBooks(
    {
      config: { ...config, validation: "full", finalityDepth: null },
      codec,
      network: "regtest",
      root: row.open("regtest").root(config),
    },
    { clock, publish: () => {}, publishPassing: () => {}, onWatchRefused: () => {} },
  );
  return {
    chain,
    network: "regtest",
    codec,
    row,
    ingest,
    race,
    books,
    pipeline,
    stats: books.stats,
    watching: books.watching,
    feeds: () => feeds,
    setUpstreams: () => {},
    rpc: NO_RPC,
    breakerMoved: () => {},
    start: () => {},
    close: async () => {},
  };
}

interface Scene {
  readonly j: Journey;
  readonly line: ChainLine;
  readonly catalog: Catalog;
  readonly a: FakeFeed;
  readonly b: FakeFeed;
  /** Heights 1 to 5, all proved; 1 and 2 final. */
  readonly blocks: readonly MinedBlock[];
  /** Beside height 5, not proved. */
  readonly side: MinedBlock;
}

async function scene(t: TestContext): Promise<Scene> {
  const j = new Journey({ finalityDepth: 3 });
  t.after(() => j.pipeline.close());
  const a = await j.feed("a");
  const b = await j.feed("b");
  const line = lineOf(j, [a, b]);
  const blocks = await j.mineRun(j.genesis, 5);
  for (const block of blocks) a.bodies.set(block.hash, bodyOf(block));
  for (const block of blocks) a.announce(j.announcement(block));
  await j.until(() => j.ingest.provedHeight === 5);
  const side = await j.mine(blocks[3] as MinedBlock);
  b.announce(j.announcement(side));
  return {
    j,
    line,
    catalog: createCatalog(() => [line], { orders: NO_ORDERS, wall: () => j.clock.wall() }),
    a,
    b,
    blocks,
    side,
  };
}

const heights = (records: ReturnType<Catalog["blocksOf"]>): readonly number[] | null =>
  records?.map(({ block }) => block.height) ?? null;

test("blocks are told with what was proved of them, who was first, and whether they count", async (t) => {
  const { catalog, blocks, side } = await scene(t);
  const facts = (hash: string): unknown => {
    const record = catalog.blockByHash(hash);
    if (record === null) return null;
    const { validation, upstream, bestChain, final, network } = record;
    return { height: record.block.height, validation, upstream, bestChain, final, network };
  };
  const common = { network: "regtest", validation: "full", upstream: "a", bestChain: true };
  assert.deepEqual(facts(blocks[1]?.hash ?? ""), { ...common, height: 2, final: true });
  assert.deepEqual(facts(blocks[2]?.hash ?? ""), { ...common, height: 3, final: false });
  assert.deepEqual(facts(side.hash), {
    network: "regtest",
    height: 5,
    validation: "header",
    upstream: "b",
    bestChain: false,
    final: false,
  });
  assert.equal(facts("00".repeat(32)), null);
  assert.equal(catalog.latest("bitcoin")?.block.hash, blocks[4]?.hash);
});

test("pages of the best chain go down from the tip, a height or a hash, to genesis and no further", async (t) => {
  const { catalog, blocks, side } = await scene(t);
  assert.deepEqual(heights(catalog.blocksOf("bitcoin", { limit: 3, before: null })), [5, 4, 3]);
  assert.deepEqual(heights(catalog.blocksOf("bitcoin", { limit: 3, before: 3 })), [2, 1, 0]);
  assert.deepEqual(heights(catalog.blocksOf("bitcoin", { limit: 9, before: blocks[1]?.hash ?? "" })), [1, 0]);
  assert.deepEqual(heights(catalog.blocksOf("bitcoin", { limit: 9, before: 1_000 })), [5, 4, 3, 2, 1, 0]);
  assert.deepEqual(heights(catalog.blocksOf("bitcoin", { limit: 9, before: 0 })), []);
  assert.equal(catalog.blocksOf("bitcoin", { limit: 9, before: "00".repeat(32) }), null);
  const page = catalog.blocksOf("bitcoin", { limit: 2, before: side.hash });
  assert.deepEqual(
    page?.map(({ block }) => block.hash),
    [blocks[3]?.hash, blocks[2]?.hash],
    "before a block that lost: the chain that it left",
  );
});

test("a chain that is not relayed, and one that is not synced yet", async (t) => {
  const { catalog } = await scene(t);
  assert.throws(() => catalog.latest("dogecoin"), { code: "SPRINT_API_CHAIN_OFF" });
  assert.throws(() => catalog.race("litecoin", 5), { code: "SPRINT_API_CHAIN_OFF" });
  const j = new Journey();
  t.after(() => j.pipeline.close());
  const feed = new FakeFeed("a", "bitcoin", j.pipeline);
  const fresh = createCatalog(() => [lineOf(j, [feed])], { orders: NO_ORDERS, wall: () => 0 });
  assert.equal(fresh.latest("bitcoin"), null);
  assert.deepEqual(fresh.chains(), [
    { chain: "bitcoin", network: "regtest", tip: null, finalized: null, synced: false },
  ]);
});

test("upstreams by name: cordon and uncordon reach the feed, a name that is none says so", async (t) => {
  const { catalog, a, b } = await scene(t);
  assert.equal(catalog.cordon("a", "node upgrade", 1_000), true);
  assert.deepEqual([a.cordons, b.cordons], [["node upgrade"], []]);
  assert.equal(catalog.uncordon("b"), true);
  assert.equal(catalog.cordon("c", "", 1), false);
  assert.equal(catalog.uncordon("c"), false);
});

test("the live view: heights that were shown, firsts, and the state of a chain", async (t) => {
  const { j, line, catalog, a, b, blocks } = await scene(t);
  const upstreams = catalog.upstreamViews();
  assert.deepEqual(
    upstreams.map(({ name, height, firsts }) => [name, height, firsts]),
    [
      ["a", 5, 5],
      ["b", 5, 1],
    ],
  );
  const view = (): unknown => {
    const [chain] = chainViews([line], new Map(), j.clock.wall(), j.clock.now());
    return [chain?.status, chain?.tip?.height, chain?.tip?.hash, chain?.tip?.phase];
  };
  assert.deepEqual(view(), ["synced", 5, blocks[4]?.hash, "validated"]);
  a.hangUp();
  b.hangUp();
  assert.deepEqual(view(), ["down", 5, blocks[4]?.hash, "validated"]);
});
