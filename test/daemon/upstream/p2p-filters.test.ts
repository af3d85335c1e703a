/** Block filters over P2P: from a real Litecoin Core, and what a peer is not believed. */
import assert from "node:assert/strict";
import { type TestContext, describe, test } from "node:test";
import {
  buildFilter,
  codecFor,
  filterHash,
  filterHeader,
  filterHeaders,
  filterMatches,
  headerBytes,
  NO_FILTER_HEADER,
  paramsFor,
} from "../../../src/daemon/chain/index.ts";
import { isSprintError } from "../../../src/shared/errors.ts";
import {
  SERVICE,
  decodeGetFilters,
  decodeGetHeaders,
  encodeFilter,
  encodeFilterHeaders,
  encodeHeaders,
} from "../../../src/daemon/wire/index.ts";
import { FeedListener } from "../../fakes/feed-listener.ts";
import { hasLitecoind, startLitecoind } from "../../fakes/litecoind.ts";
import { PEER_VERSION, startPeer } from "../../fakes/peer.ts";

const LITECOIN = codecFor(paramsFor("litecoin", "regtest"));
const { genesisHash } = LITECOIN.params;
const never = new AbortController().signal;
const hasCode = (code: string) => (error: unknown) => isSprintError(error) && error.code === code;

async function listen(t: TestContext, port: number): Promise<FeedListener> {
  const listener = new FeedListener(port, LITECOIN);
  t.after(() => listener.feed.close());
  await listener.until(() => listener.told.includes("up"));
  return listener;
}

describe("a litecoind with -peerblockfilters", { skip: hasLitecoind() ? false : "litecoind is not installed" }, () => {
  test("its filters are those that we build, hold what the blocks have, and link", async (t) => {
    const node = await startLitecoind({ wallet: true, args: ["-blockfilterindex=1", "-peerblockfilters=1"] });
    t.after(() => node.stop());
    await node.rpc("createwallet", ["w"]);
    const address = await node.rpc<string>("getnewaddress", [], "w");
    await node.rpc("generatetoaddress", [101, address], "w");
    await node.rpc("sendtoaddress", [address, 1], "w");
    await node.rpc("generatetoaddress", [1, address], "w");
    const { feed } = await listen(t, node.p2pPort);
    const hashes = (await feed.headersAfter([genesisHash], never)).map(({ hash }) => hash);
    assert.equal(hashes.length, 102);
    // The index is built behind the blocks, and only when it is there the node answers.
    for (const hash of hashes.slice(-3)) await indexed(node.rpc, hash);

    assert.ok(feed.filters);
    const range = { startHeight: 93, stopHash: hashes.at(-1) ?? "", count: 10 };
    const { previousHeader, filters } = await feed.filters(range, never);
    assert.deepEqual(
      filters.map(({ blockHash }) => blockHash),
      hashes.slice(-10),
    );
    const last = filters.at(-1);
    assert.ok(last);
    assert.equal(last.header, (await node.rpc<{ header: string }>("getblockfilter", [last.blockHash])).header);
    assert.equal(
      filterHeaders(
        previousHeader,
        filters.map(({ filter }) => filterHash(filter)),
      ).at(-1),
      last.header,
    );

    const { scriptPubKey } = await node.rpc<{ scriptPubKey: string }>("getaddressinfo", [address], "w");
    assert.deepEqual(filterMatches(last.filter, last.blockHash, [scriptPubKey, "51"]), [scriptPubKey]);
    const raw = Buffer.from(await node.rpc<string>("getblock", [last.blockHash, 0]), "hex");
    // What is spent in it was paid to the one address that there is.
    assert.deepEqual(buildFilter(raw, [Buffer.from(scriptPubKey, "hex")], LITECOIN.params), last.filter);

    await assert.rejects(
      feed.filters({ ...range, stopHash: "ab".repeat(32) }, never),
      hasCode("SPRINT_UPSTREAM_NOT_FOUND"),
    );
    await assert.rejects(feed.filters({ ...range, count: 101 }, never), hasCode("SPRINT_UPSTREAM_UNSUPPORTED"));
    assert.equal(feed.status().connects, 1, "it did not hang up");
  });

  test("one without says so, and stays connected", async (t) => {
    const node = await startLitecoind();
    t.after(() => node.stop());
    const [hash] = await node.mine(1);
    const { feed } = await listen(t, node.p2pPort);
    const range = { startHeight: 1, stopHash: hash ?? "", count: 1 };
    await assert.rejects(feed.filters?.(range, never) ?? Promise.resolve(), hasCode("SPRINT_UPSTREAM_UNSUPPORTED"));
    assert.equal(feed.status().state, "up");
  });
});

describe("filters of a peer", () => {
  const filters = [0, 1].map((tag) => Buffer.of(1, tag, 2, 3));
  const filterHashes = filters.map((filter) => filterHash(filter));
  const fields = { version: 4, merkleRoot: "11".repeat(32), time: 1_600_000_000, bits: 0x207fffff, nonce: 0 };
  const first = LITECOIN.decodeHeader(headerBytes({ ...fields, parentHash: genesisHash })).header;
  const second = LITECOIN.decodeHeader(headerBytes({ ...fields, parentHash: first.hash })).header;
  const range = { startHeight: 1, stopHash: second.hash, count: 2 };
  const headersOf = (hashes: readonly string[]) =>
    encodeFilterHeaders({ type: 0, stopHash: second.hash, previousHeader: NO_FILTER_HEADER, filterHashes: hashes });
  const filterOf = (blockHash: string, filter: Uint8Array) => encodeFilter({ type: 0, blockHash, filter });

  async function setUp(t: TestContext) {
    const peer = await startPeer(LITECOIN.params.magic);
    t.after(() => peer.close());
    const shaking = peer.shakeHands({ services: PEER_VERSION.services | SERVICE.COMPACT_FILTERS });
    const listener = await listen(t, peer.port);
    const node = await shaking;
    const ask = (signal = never) => listener.feed.filters?.(range, signal) ?? Promise.reject(new Error("none"));
    /** What comes before: does the node know the block? */
    const admit = async () => {
      assert.deepEqual(decodeGetHeaders(await node.next("getheaders")).locator, [second.hash, genesisHash]);
      node.send("headers", encodeHeaders([]));
      assert.deepEqual(decodeGetFilters(await node.next("getcfheaders")), {
        type: 0,
        startHeight: 1,
        stopHash: second.hash,
      });
    };
    return { listener, node, ask, admit };
  }

  test("come as a run with their headers", async (t) => {
    const { node, ask, admit } = await setUp(t);
    const answer = ask();
    await admit();
    node.send("cfheaders", headersOf(filterHashes));
    await node.next("getcfilters");
    node.send("cfilter", filterOf(first.hash, filters[0] as Buffer));
    node.send("cfilter", filterOf(second.hash, filters[1] as Buffer));
    const run = await answer;
    assert.deepEqual(
      run.filters.map(({ filter }) => Buffer.from(filter)),
      filters,
    );
    assert.equal(run.filters[0]?.header, filterHeader(filterHashes[0] as string, NO_FILTER_HEADER));
  });

  test("that are not what their headers say end the connection", async (t) => {
    for (const [hashes, sent] of [
      [filterHashes.slice(1), []],
      [filterHashes, filters.toReversed()],
    ] as const) {
      const { listener, node, ask, admit } = await setUp(t);
      const answer = ask();
      answer.catch(() => {});
      await admit();
      node.send("cfheaders", headersOf(hashes));
      for (const filter of sent) node.send("cfilter", filterOf(first.hash, filter));
      await listener.until(() => listener.told.some((reason) => reason.includes("block filters: expected")));
      await assert.rejects(answer, hasCode("SPRINT_P2P_MALFORMED"));
    }
  });

  test("that nobody waits for any more are not taken for those asked next", async (t) => {
    const { node, ask, admit } = await setUp(t);
    const gaveUp = new AbortController();
    const one = ask(gaveUp.signal);
    await admit();
    node.send("cfheaders", headersOf(filterHashes));
    await node.next("getcfilters");
    node.send("cfilter", filterOf(first.hash, filters[0] as Buffer));
    await node.settled();
    gaveUp.abort(new Error("given up"));
    await assert.rejects(one, /given up/);
    const two = ask();
    await admit();
    node.send("cfheaders", headersOf(filterHashes));
    node.send("cfilter", filterOf(second.hash, filters[1] as Buffer));
    node.send("cfilter", filterOf(first.hash, filters[0] as Buffer));
    node.send("cfilter", filterOf(second.hash, filters[1] as Buffer));
    assert.equal((await two).filters.length, 2);
  });
});

async function indexed(
  rpc: (method: string, params: readonly unknown[]) => Promise<unknown>,
  hash: string,
): Promise<void> {
  for (;;) {
    const found = await rpc("getblockfilter", [hash]).catch(() => null);
    if (found !== null) return;
  }
}
