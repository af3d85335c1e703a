/** The P2P feed against a real Litecoin Core. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type Server, type Socket, connect, createServer, type AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { codecFor, paramsFor } from "../../../src/daemon/chain/index.ts";
import { FeedListener } from "../../fakes/feed-listener.ts";
import { type Litecoind, hasLitecoind, startLitecoind } from "../../fakes/litecoind.ts";

const skip = hasLitecoind() ? false : "litecoind is not installed";
const never = new AbortController().signal;
const LITECOIN = codecFor(paramsFor("litecoin", "regtest"));

describe("a real litecoind", { skip }, () => {
  let node: Litecoind;
  const closing: (() => Promise<void>)[] = [];
  before(async () => {
    node = await startLitecoind({ args: ["-vbparams=mweb:0:0"] });
    await node.mine(3);
  });
  after(async () => {
    for (const close of closing) await close();
    await node.stop();
  });

  async function listen(port = node.p2pPort): Promise<FeedListener> {
    const listener = new FeedListener(port, LITECOIN);
    closing.push(() => listener.feed.close());
    await listener.until(() => listener.told.includes("up"));
    return listener;
  }

  test("its headers, its blocks as they are mined, and their bodies", async () => {
    const { feed, ...rest } = await listen();
    assert.match(feed.status().agent ?? "", /^\/LitecoinCore:/);
    const headers = await feed.headersAfter([LITECOIN.params.genesisHash], never);
    assert.equal(headers.at(-1)?.hash, await node.rpc("getbestblockhash"));
    assert.deepEqual(await feed.headersAfter([headers.at(-1)?.hash ?? "", LITECOIN.params.genesisHash], never), []);
    for (const { hash } of headers) {
      const verdict = LITECOIN.checkBody(await feed.body(hash, never), { height: null, hash: null }, null);
      assert.ok(verdict.ok, JSON.stringify(verdict));
    }
    assert.equal(rest.announced.length, 0, "answers are not announcements");
  });

  test("each new block comes as a compact block, in order, with its body", async () => {
    const listener = await listen();
    await listener.feed.headersAfter([LITECOIN.params.genesisHash], never);
    const mined = await node.mine(20);
    for (const hash of mined) {
      await listener.heard(hash);
      const verdict = LITECOIN.checkBody(await listener.feed.body(hash, never), { height: null, hash: null }, null);
      assert.ok(verdict.ok && verdict.facts.txCount === 1, JSON.stringify(verdict));
    }
    const [first] = mined;
    assert.deepEqual([...new Set(listener.announced.map(({ header }) => header.hash))], mined);
    assert.equal((await listener.heard(first ?? "")).via, "cmpctblock");
    assert.equal((await listener.heard(first ?? "")).txCount, 1);
  });

  test("a chain of another genesis on the same magic is a wrong network", async () => {
    const listener = new FeedListener(node.p2pPort, codecFor(paramsFor("bitcoin", "regtest")));
    closing.push(() => listener.feed.close());
    await listener.until(() => listener.told.includes("up"));
    const bitcoinGenesis = paramsFor("bitcoin", "regtest").genesisHash;
    await assert.rejects(listener.feed.headersAfter([bitcoinGenesis], never), {
      code: "SPRINT_UPSTREAM_WRONG_NETWORK",
    });
    assert.equal(listener.feed.status().lastError?.code, "SPRINT_UPSTREAM_WRONG_NETWORK");
  });

  test("through a line that cuts and delays writes, and back after kill -9", async () => {
    const line = await startLine(node.p2pPort);
    closing.push(() => line.close());
    const listener = await listen(line.port);
    await listener.feed.headersAfter([LITECOIN.params.genesisHash], never);
    const before = await node.mine(3);
    for (const hash of before) await listener.heard(hash);
    await node.rpc("gettxoutsetinfo");
    await node.kill();
    await listener.until(() => listener.told.some((what) => /closed the connection/.test(what)));
    await node.restart();
    await listener.until(() => listener.told.filter((what) => what === "up").length === 2);
    await listener.feed.headersAfter([LITECOIN.params.genesisHash], never);
    const [hash] = await node.mine(1);
    await listener.heard(hash ?? "");
  });
});

describe("a real litecoind with extension blocks", { skip }, () => {
  test("bodies from compact blocks, and with their extension once there is one", async () => {
    const node = await startLitecoind({ wallet: true });
    const listener = new FeedListener(node.p2pPort, LITECOIN);
    try {
      await listener.until(() => listener.told.includes("up"));
      await node.rpc("createwallet", ["w"]);
      const plain = await node.rpc<string>("getnewaddress");
      await node.rpc("generatetoaddress", [430, plain]);
      await listener.feed.headersAfter([LITECOIN.params.genesisHash], never);
      await node.rpc("sendtoaddress", [plain, 1]);
      const [before = ""] = await node.rpc<string[]>("generatetoaddress", [1, plain]);
      assert.equal((await listener.heard(before)).txCount, 2);
      const [raw, body] = [await node.rpc("getblock", [before, 0]), await listener.feed.body(before, never)];
      assert.equal(Buffer.from(body).toString("hex"), raw, "put together from the compact block");
      await node.rpc("sendtoaddress", [await node.rpc<string>("getnewaddress", ["", "mweb"]), 1]);
      const mined = await node.rpc<string[]>("generatetoaddress", [3, plain]);
      for (const [i, hash] of mined.entries()) {
        await listener.heard(hash);
        const body = await listener.feed.body(hash, never);
        assert.equal(Buffer.from(body).toString("hex"), await node.rpc("getblock", [hash, 0]), `block ${432 + i}`);
        const verdict = LITECOIN.checkBody(body, { height: 432 + i, hash: null }, null);
        assert.ok(verdict.ok, JSON.stringify(verdict));
      }
    } finally {
      await listener.feed.close();
      await node.stop();
    }
  });
});

/** A TCP line that passes on a few bytes at a time. */
async function startLine(port: number): Promise<{ readonly port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on("error", () => {});
      from.on("close", () => to.destroy());
      from.on("data", (chunk: Buffer) => {
        for (let at = 0; at < chunk.length; at += 7) to.write(chunk.subarray(at, at + 7));
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  };
}
