/** The devnet node's RPC port: as the relay's own feed asks it, as litecoind answers beside it, and as strangers misuse it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type Socket, connect } from "node:net";
import { type TestContext, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { codecFor, paramsFor } from "../../../src/daemon/chain/index.ts";
import { BlockStore } from "../../../src/daemon/devnet/blocks.ts";
import { DevnetNode, type DevnetNodeModules, type DevnetNodeOptions } from "../../../src/daemon/devnet/index.ts";
import { createRpcFeed, parseUpstreamUrl } from "../../../src/daemon/upstream/index.ts";
import { UTXO_CHAINS } from "../../../src/shared/chain.ts";
import { seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { hasLitecoind, startLitecoind } from "../../fakes/litecoind.ts";
import { headerCodec, listen, never } from "../upstream/listener.ts";

async function start(
  context: TestContext,
  options: Partial<DevnetNodeOptions> = {},
  modules: Partial<DevnetNodeModules> = {},
): Promise<DevnetNode> {
  const chain = options.chain ?? "bitcoin";
  const codec = { params: paramsFor(chain, "regtest") };
  const node = new DevnetNode(
    { chain, ...options },
    { codec, clock: systemClock, random: seededRandom(1), ...modules },
  );
  await node.start();
  context.after(() => node.close());
  return node;
}

interface Said {
  readonly status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- whatever a node says
  readonly body: any;
}

/** Posts `body`, as it is where it is text. */
async function post(url: string, body: unknown, authorization?: string): Promise<Said> {
  const response = await fetch(url, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: authorization === undefined ? {} : { authorization },
  });
  const text = await response.text();
  return { status: response.status, body: /^[{[]/.test(text) ? JSON.parse(text) : text };
}

const urlOf = (node: DevnetNode): string => `http://${node.rpcAddress.host}:${node.rpcAddress.port}/`;
const call = async (node: DevnetNode, method: string, ...params: unknown[]): Promise<Said["body"]> => {
  const { body } = await post(urlOf(node), { id: 1, method, params });
  return body.error ?? body.result;
};

for (const chain of UTXO_CHAINS) {
  test(`the relay's own RPC feed hears every ${chain} block, across a reorg`, { timeout: 30_000 }, async (context) => {
    const node = await start(context, { chain, historyBlocks: 24 });
    const address = parseUpstreamUrl(`${urlOf(node)}?network=regtest`);
    assert.ok(address.kind === "rpc");
    const codec = codecFor(paramsFor(chain, "regtest"));
    const heard = listen(context, headerCodec(chain), (options, modules) =>
      createRpcFeed({ ...options, address }, modules),
    );
    await heard.until(() => heard.hashes.length === 24);
    assert.deepEqual(heard.hashes, node.blocks.slice(1));
    assert.equal(heard.feed.status().agent, "/SprintDevnet:0.1.0/");

    const mined = await node.mine(1);
    await heard.until(() => heard.hashes.at(-1) === mined[0]);
    mined.push(...(await node.mine(20)));
    await heard.until(() => heard.hashes.length === 45);
    assert.deepEqual(heard.hashes.slice(24), mined);

    const { applied } = await node.fork(3, 5);
    await heard.until(() => heard.hashes.at(-1) === applied.at(-1));
    assert.deepEqual(heard.hashes.slice(45), applied);
    assert.deepEqual(heard.downs, []);

    for (const hash of node.blocks.slice(-12)) {
      const verdict = codec.checkBody(
        await heard.feed.body(hash, never),
        { height: node.store.get(hash)?.height ?? null, hash: null },
        null,
      );
      assert.ok(verdict.ok);
      assert.equal(verdict.facts.txCount, (await call(node, "getblock", hash)).nTx);
    }
    await assert.rejects(heard.feed.body("ab".repeat(32), never), { code: "SPRINT_UPSTREAM_NOT_FOUND" });
  });
}

test("as an upstream's URL it is P2P with RPC beside it", async (context) => {
  const node = await start(context);
  const address = parseUpstreamUrl(node.url);
  assert.ok(address.kind === "p2p");
  assert.equal(address.port, node.port);
  assert.deepEqual([address.rpc?.port, address.rpc?.auth.kind], [node.rpcAddress.port, "none"]);
});

const skip = !hasLitecoind() && "litecoind is not installed";

describe("beside a litecoind that follows it", { skip, timeout: 60_000 }, () => {
  test("answers alike", async (context) => {
    const node = await start(context, { chain: "litecoin", maxTransactions: 0 });
    const litecoind = await startLitecoind({ args: [`-connect=127.0.0.1:${node.address.port}`, "-txindex=1"] });
    // Killed first: asked to stop, it waits for connections that are kept alive.
    context.after(() => litecoind.kill().then(() => litecoind.stop()));
    const cookie = await readFile(litecoind.cookiePath, "utf8");
    const authorization = `Basic ${Buffer.from(cookie).toString("base64")}`;
    const both = async (body: unknown): Promise<readonly [ours: Said, theirs: Said]> => [
      await post(urlOf(node), body),
      await post(`http://127.0.0.1:${litecoind.rpcPort}/`, body, authorization),
    ];
    const reachTip = async (): Promise<void> => {
      while ((await litecoind.rpc("getbestblockhash")) !== node.tip.hash) await sleep(20);
    };
    await reachTip();
    await node.mine(3);
    await reachTip();
    const { reverted } = await node.fork(2, 3);
    await reachTip();

    const hashes = [...node.blocks.slice(1), ...reverted];
    const coinbase = (await call(node, "getblock", node.tip.hash)).tx[0];
    const same: unknown[] = [
      { id: "a", method: "getblockcount" },
      { id: null, method: "getbestblockhash", params: [] },
      { id: 1, method: "getdifficulty", params: {} },
      { id: 1, method: "getrawmempool" },
      { id: 1, method: "getrawmempool", params: [true] },
      { id: 1, method: "getrawmempool", params: [false, true] },
      { id: 1, method: "getconnectioncount" },
      { id: 1, method: "getblockhash", params: { height: 3 } },
      { id: 1, method: "getblockheader", params: [node.blocks[0], true] },
      { id: 1, method: "waitfornewblock", params: [1] },
      { id: 1, method: "getrawtransaction", params: [coinbase] },
      [
        { id: 7, method: "getblockcount" },
        { id: 8, method: "nope" },
        3,
        { id: 9, method: "getblockhash", params: [99] },
      ],
      [],
      ...hashes.flatMap((hash) => [
        { id: 1, method: "getblockheader", params: [hash] },
        { id: 1, method: "getblockheader", params: [hash, false] },
        { id: 1, method: "getblock", params: [hash, 0] },
        { id: 1, method: "getblock", params: { blockhash: hash.toUpperCase() } },
        { id: 1, method: "getblock", params: [hash, true] },
      ]),
    ];
    for (const body of same) {
      const [ours, theirs] = await both(body);
      assert.deepEqual(ours, theirs, JSON.stringify(body));
    }

    // What they refuse: status, code and id alike; the words are theirs.
    const wrong: unknown[] = [
      "{",
      "",
      "3",
      '"getblockcount"',
      { id: 1 },
      { id: 1, method: 5 },
      { id: 1, method: "getblockcount", params: 3 },
      { id: 1, method: "nope" },
      { id: 1, method: "constructor" },
      { id: 1, method: "getblockcount", params: [1] },
      { id: 1, method: "getblock" },
      { id: 1, method: "getblock", params: ["abc"] },
      { id: 1, method: "getblock", params: ["zz".repeat(32)] },
      { id: 1, method: "getblock", params: ["ab".repeat(32)] },
      { id: 1, method: "getblock", params: { hash: "ab".repeat(32) } },
      { id: 1, method: "getblockheader", params: ["ab".repeat(32)] },
      { id: 1, method: "getblockhash", params: [99] },
      { id: 1, method: "getblockhash", params: [-1] },
      { id: 1, method: "getblockhash", params: [1.5] },
      { id: 1, method: "getrawtransaction", params: ["ab".repeat(32)] },
      { id: 1, method: "getrawtransaction", params: [coinbase, false, node.blocks[1]] },
      { id: 1, method: "getrawtransaction", params: [coinbase, false, "ab".repeat(32)] },
    ];
    for (const body of wrong) {
      const facts = ({ status, body: { result, error, id } }: Said): unknown[] => [status, result, error?.code, id];
      const [ours, theirs] = await both(body);
      assert.deepEqual(facts(ours), facts(theirs), JSON.stringify(body));
      assert.equal(typeof ours.body.error.message, "string");
    }

    // Every fact of ours that litecoind tells too, but for those of its own storage and for what scripts mean.
    const part = async (method: string, params: unknown[], without: readonly string[]): Promise<void> => {
      const [ours, theirs] = await both({ id: 1, method, params });
      for (const [key, value] of Object.entries(ours.body.result)) {
        if (without.includes(key)) continue;
        assert.deepEqual(value, theirs.body.result[key], `${method} ${key}`);
      }
    };
    const storage = ["size_on_disk", "pruned", "pruneheight", "automatic_pruning"];
    // Newer nodes tell it, litecoind's is older.
    await part("getblockchaininfo", [], [...storage, "time"]);
    await part("getmempoolinfo", [], ["usage", "maxmempool", "total_fee"]);
    await part("getrawtransaction", [coinbase, true], ["vin", "vout"]);
    await part("getrawtransaction", [coinbase, 1, node.tip.hash], ["vin", "vout"]);
    const [ours, theirs] = await both({ id: 1, method: "getblock", params: [node.tip.hash, 2] });
    const [{ vin, vout }] = theirs.body.result.tx;
    const [{ vin: ourVin, vout: ourVout }] = ours.body.result.tx;
    assert.deepEqual(ourVin[0].coinbase, vin[0].coinbase);
    assert.deepEqual(
      ourVout.map((each: { value: number; scriptPubKey: object }) => [each.value, each.scriptPubKey]),
      vout.map(
        ({ value, scriptPubKey: { hex, type } }: { value: number; scriptPubKey: { hex: string; type: string } }) => [
          value,
          { hex, type },
        ],
      ),
    );
  });
});

test("JSON-RPC 2.0: errors come with 200, and what has no id is not answered", async (context) => {
  const node = await start(context);
  const modern = (rest: object): Promise<Said> => post(urlOf(node), { jsonrpc: "2.0", ...rest });
  const { height } = node.tip;
  assert.deepEqual(await modern({ id: "x", method: "getblockcount" }), {
    status: 200,
    body: { jsonrpc: "2.0", result: height, id: "x" },
  });
  assert.deepEqual(await modern({ id: 2, method: "nope" }), {
    status: 200,
    body: { jsonrpc: "2.0", error: { code: -32601, message: "Method not found" }, id: 2 },
  });
  assert.deepEqual(await modern({ method: "getblockcount" }), { status: 204, body: "" });
  assert.deepEqual(await modern({ method: "nope" }), { status: 204, body: "" });
  const quiet = { jsonrpc: "2.0", method: "uptime" };
  assert.deepEqual(await post(urlOf(node), [quiet, quiet]), { status: 204, body: "" });
  assert.deepEqual(await post(urlOf(node), [quiet, { ...quiet, id: 1 }]), {
    status: 200,
    body: [{ jsonrpc: "2.0", result: 0, id: 1 }],
  });
  const codes = [{ jsonrpc: "3.0" }, { jsonrpc: 2 }, { id: [[]] }].map(async (odd) => {
    const { status, body } = await post(urlOf(node), { id: 1, method: "uptime", ...odd });
    return [status, body.error.code];
  });
  assert.deepEqual(
    await Promise.all(codes),
    codes.map(() => [400, -32600]),
  );
});

test("transactions with witnesses are shown whole, and found by their id", async (context) => {
  const node = await start(context, { maxTransactions: 40, historyBlocks: 30 });
  let found = 0;
  for (const hash of node.blocks.slice(1)) {
    const block = await call(node, "getblock", hash, 2);
    const ids = await call(node, "getblock", hash, 1);
    const raw: string = await call(node, "getblock", hash, 0);
    assert.deepEqual(
      block.tx.map((tx: { txid: string }) => tx.txid),
      ids.tx,
    );
    assert.equal(raw.length, 2 * ids.size);
    assert.ok(raw.endsWith(block.tx.map((tx: { hex: string }) => tx.hex).join("")));
    for (const tx of block.tx) {
      assert.equal(tx.locktime, 0, "read to its end");
      assert.ok(tx.vout.every((out: { scriptPubKey: { type: string } }) => out.scriptPubKey.type !== "nonstandard"));
      assert.ok(tx.vin.every((input: { sequence: number }) => input.sequence === 0xffffffff));
      assert.equal(tx.txid !== tx.hash, "txinwitness" in (tx.vin.find((i: object) => "txinwitness" in i) ?? {}));
    }
    const some = block.tx.at(-1);
    const alone = await call(node, "getrawtransaction", some.txid, true);
    assert.deepEqual([alone.blockhash, alone.hex], [hash, some.hex]);
    found += block.tx.length;
  }
  assert.ok(found > 200, `${found} transactions`);
});

test("what is old is told by its header alone", async (context) => {
  const options = { chain: "dogecoin", historyBlocks: 60 } as const;
  const params = paramsFor("dogecoin", "regtest");
  const bare = new DevnetNode(options, { codec: { params }, clock: systemClock, random: seededRandom(1) });
  const store = new BlockStore({ keepBlocks: 20 }, bare.store.tip);
  const node = await start(context, options, { store });
  const hashes = node.blocks;
  const codec = headerCodec("dogecoin");
  const times: number[] = [];
  for (const [height, hash] of hashes.entries()) {
    assert.equal(await call(node, "getblockhash", height), hash);
    const { header } = codec.decodeHeader(Buffer.from(await call(node, "getblockheader", hash, false), "hex"));
    const view = await call(node, "getblockheader", hash);
    times.push(view.time);
    const median = times.slice(-11).toSorted((a, b) => a - b)[Math.min(height + 1, 11) >> 1];
    assert.deepEqual(
      [header.hash, view.height, view.confirmations, view.mediantime, view.nextblockhash, view.previousblockhash],
      [hash, height, 61 - height, median, hashes[height + 1], hashes[height - 1]],
    );
    const block = await call(node, "getblock", hash);
    if (height <= 40) assert.equal(block.code, -1);
    else assert.equal(block.hash, hash);
  }
  const info = await call(node, "getblockchaininfo");
  assert.deepEqual([info.pruned, info.pruneheight], [true, 41]);
});

describe("waitfornewblock", () => {
  test("answers at the next block", async (context) => {
    const clock = new FakeClock();
    const node = await start(context, {}, { clock });
    const timers = clock.pending;
    const waiting = call(node, "waitfornewblock", 5_000);
    while (clock.pending === timers) await call(node, "uptime");
    const [hash] = await node.mine();
    assert.deepEqual(await waiting, { hash, height: 13 });
    assert.equal(clock.pending, timers);
  });

  test("answers with the tip when its time is over, and holds nothing when its caller goes", async (context) => {
    const clock = new FakeClock();
    const node = await start(context, {}, { clock });
    const timers = clock.pending;
    const waiting = call(node, "waitfornewblock", 5_000);
    while (clock.pending === timers) await call(node, "uptime");
    clock.advance(5_000);
    assert.deepEqual(await waiting, node.tip);

    const leave = new AbortController();
    const body = JSON.stringify({ id: 1, method: "waitfornewblock", params: [5_000] });
    const left = fetch(urlOf(node), { method: "POST", body, signal: leave.signal });
    while (clock.pending === timers) await call(node, "uptime");
    leave.abort();
    await assert.rejects(left);
    while (clock.pending > timers) await call(node, "uptime");
  });
});

describe("bounds", () => {
  test("only POST, only at /, and no body without end", async (context) => {
    const node = await start(context);
    assert.equal((await fetch(urlOf(node))).status, 405);
    assert.equal((await post(`${urlOf(node)}wallet/x`, {})).status, 404);
    assert.equal((await post(urlOf(node), " ".repeat(1_048_577))).status, 413);
    const uptime = JSON.stringify({ id: 1, method: "uptime" });
    assert.equal((await post(urlOf(node), uptime + " ".repeat(1_048_576 - uptime.length))).status, 200);
    const batch = (length: number): object[] => Array.from({ length }, (_, id) => ({ id, method: "uptime" }));
    assert.equal((await post(urlOf(node), batch(1_000))).body.length, 1_000);
    assert.equal((await post(urlOf(node), batch(1_001))).body.error.code, -32600);
    assert.equal((await post(urlOf(node), "[".repeat(500_000))).body.error.code, -32700);
    const { message } = await call(node, "getblock", "x".repeat(100_000));
    assert.ok(message.length < 200);
  });

  test("a chunked body is cut off at the same length", async (context) => {
    const node = await start(context);
    const socket = await dial(context, node);
    socket.write("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    const chunk = `10000\r\n${" ".repeat(0x10000)}\r\n`;
    for (let i = 0; i < 17; i++) socket.write(chunk);
    const [answer] = (await once(socket, "data")) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 413 /);
    await once(socket, "close");
  });

  test("calls beyond those that may wait are turned away, as bitcoind does", async (context) => {
    const node = await start(context);
    const socket = await dial(context, node);
    const body = JSON.stringify({ id: 1, method: "waitfornewblock" });
    const wait = `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    socket.write(wait.repeat(64));
    let said = { status: 200 } as Said;
    while (said.status === 200) said = await post(urlOf(node), { id: 1, method: "uptime" });
    assert.deepEqual(said, { status: 503, body: "Work queue depth exceeded" });
    socket.destroy();
    while ((await post(urlOf(node), { id: 1, method: "uptime" })).status !== 200);
  });
});

test("whatever is asked is answered, and nothing is unforeseen", async (context) => {
  const node = await start(context);
  const methods = ((await call(node, "help")) as string).split("\n").flatMap((line) => /^[a-z]+/.exec(line)?.[0] ?? []);
  assert.ok(methods.length >= 15);
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom(...node.blocks, "ab".repeat(32), 0, 1, 2, 12, 13, -1, 0.5, 1e15, 1e300, true, false, null),
  );
  const name = fc.constantFrom("blockhash", "verbosity", "height", "__proto__", "constructor", "txid");
  const request = fc.record(
    {
      jsonrpc: fc.oneof(fc.constantFrom("1.0", "2.0"), value),
      id: value,
      // Without end where nobody mines.
      method: fc.oneof(fc.constantFrom(...methods.filter((each) => each !== "waitfornewblock")), value),
      params: fc.oneof(fc.array(value, { maxLength: 3 }), fc.dictionary(name, value, { maxKeys: 3 }), value),
    },
    { requiredKeys: [] },
  );
  const codes = new Set([-32700, -32600, -32601, -1, -3, -5, -8]);
  const check = ({ result, error }: { result?: unknown; error?: { code: number; message: string } | null }): void => {
    if (error === undefined || error === null) return assert.notEqual(result, undefined);
    assert.ok(codes.has(error.code), error.message);
    assert.doesNotMatch(error.message, /undefined|is not a|cannot read/i);
  };
  await fc.assert(
    fc.asyncProperty(fc.oneof(request, fc.array(request, { maxLength: 4 }), value), async (body) => {
      const said = await post(urlOf(node), JSON.stringify(body));
      assert.ok([200, 204, 400, 404, 500].includes(said.status), String(said.status));
      if (said.status === 204) return;
      for (const each of Array.isArray(said.body) ? said.body : [said.body]) check(each);
    }),
    { seed: 5, numRuns: 500 },
  );
});

test("close cuts kept connections and waits, and start comes back on the same port", async (context) => {
  const node = await start(context);
  const url = urlOf(node);
  const idle = await dial(context, node);
  const waiting = assert.rejects(post(url, { id: 1, method: "waitfornewblock" }));
  await call(node, "uptime");
  await node.close();
  await waiting;
  if (!idle.closed) await once(idle, "close");
  await assert.rejects(post(url, { id: 1, method: "uptime" }));
  await node.start();
  assert.equal(urlOf(node), url);
  assert.equal(await call(node, "getblockcount"), 12);
});

test("a stalled node takes questions and answers them when it goes on", async (context) => {
  const node = await start(context);
  await call(node, "uptime");
  node.stall();
  const asked = call(node, "getblockcount");
  const leaving = new AbortController();
  const left = fetch(urlOf(node), { method: "POST", body: "{}", signal: leaving.signal });
  await node.mine(2);
  leaving.abort();
  await assert.rejects(left);
  node.resume();
  assert.equal(await asked, 14);
});

async function dial(context: TestContext, node: DevnetNode): Promise<Socket> {
  const socket = connect(node.rpcAddress);
  socket.on("error", () => {});
  context.after(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}
