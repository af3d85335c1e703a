/** The codecs prove what the nodes mine, and refuse each lie for the reason that it was told for. */
import assert from "node:assert/strict";
import { type TestContext, describe, test } from "node:test";
import {
  type Ancestor,
  type UtxoCodec,
  type UtxoHeader,
  type Refusal,
  codecFor,
  paramsFor,
} from "../../../src/daemon/chain/index.ts";
import { DevnetNode, LIES, type Lie } from "../../../src/daemon/devnet/index.ts";
import { UTXO_CHAINS, type UtxoChain } from "../../../src/shared/chain.ts";
import { SprintError } from "../../../src/shared/errors.ts";
import { seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { type Client, greet } from "./client.ts";

const nowSeconds = (): number => Math.floor(systemClock.wall() / 1000);

interface World {
  readonly node: DevnetNode;
  readonly codec: UtxoCodec;
  readonly client: Client;
  /** Every block by hash, from genesis, as a relay would keep them. */
  readonly tree: Map<string, Ancestor>;
}

async function world(context: TestContext, chain: UtxoChain): Promise<World> {
  const codec = codecFor(paramsFor(chain, "regtest"));
  const node = new DevnetNode({ chain, historyBlocks: 24 }, { codec, clock: systemClock, random: seededRandom(5) });
  await node.start();
  context.after(() => node.close());
  const client = await greet(node.address.port, codec.params, { sendHeaders: true });
  context.after(() => client.close());
  const { header } = codec.decodeHeader(codec.params.genesisHeader);
  const tree = new Map<string, Ancestor>([[header.hash, { block: codec.toBlock(header, 0, null), parent: null }]]);
  return { node, codec, client, tree };
}

/** Proves a header and adds it to the tree; null where it holds. */
async function proveHeader({ codec, tree }: World, header: UtxoHeader): Promise<Refusal | null> {
  const work = await codec.checkHeader(header);
  if (work !== null) return work;
  const parent = tree.get(header.parentHash);
  assert.ok(parent, "the parent is known");
  const refusal = codec.checkContext(header, parent, nowSeconds());
  if (refusal === null) tree.set(header.hash, { block: codec.toBlock(header, parent.block.height + 1, null), parent });
  return refusal;
}

function headersIn(codec: UtxoCodec, payload: Uint8Array): UtxoHeader[] {
  const headers: UtxoHeader[] = [];
  for (let at = 1; at < payload.length; at++) {
    const { header, end } = codec.decodeHeader(payload, at);
    headers.push(header);
    at = end;
  }
  return headers;
}

async function fetchBody({ client, codec }: World, hash: string): Promise<Uint8Array> {
  client.getData(codec.params.blockInvType, hash);
  return client.next("block");
}

describe("every block holds, header and body", () => {
  for (const chain of UTXO_CHAINS) {
    test(chain, { timeout: 60_000 }, async (context) => {
      const all = await world(context, chain);
      const { node, codec, client, tree } = all;
      const heights: number[] = [];
      let merged = 0;
      let transactions = 0;
      const prove = async (header: UtxoHeader): Promise<void> => {
        assert.equal(await proveHeader(all, header), null);
        const height = tree.get(header.hash)?.block.height ?? -1;
        const verdict = codec.checkBody(await fetchBody(all, header.hash), { height, hash: null }, null);
        assert.ok(verdict.ok, `height ${height}: ${verdict.ok ? "" : verdict.refusal.message}`);
        assert.equal(verdict.facts.coinbaseHeight, height);
        heights.push(height);
        transactions += verdict.facts.txCount;
        if (header.auxpow !== null) merged++;
      };
      for (const header of headersIn(codec, await client.getHeaders([]))) await prove(header);
      await node.mine(120);
      for (let mined = 0; mined < 120; mined++) {
        const [header] = headersIn(codec, await client.next("headers"));
        assert.ok(header);
        await prove(header);
      }
      const { applied } = await node.fork(2, 3);
      const branch = headersIn(codec, await client.next("headers"));
      assert.deepEqual(
        branch.map((header) => header.hash),
        applied,
      );
      for (const header of branch) await prove(header);

      assert.deepEqual(
        heights.slice(0, 144),
        Array.from({ length: 144 }, (_, i) => i + 1),
      );
      assert.ok(node.blocks.every((hash) => tree.has(hash)));
      assert.ok(transactions > 2 * heights.length, `${transactions} transactions`);
      assert.equal(merged > 25, chain === "dogecoin", `${merged} merged-mined`);
    });
  }
});

describe("every lie is refused for what it is", () => {
  const expected: Readonly<Record<Exclude<Lie, "unknown-parent">, string>> = {
    "bad-work": "SPRINT_WORK_HIGH_HASH",
    "bad-bits": "SPRINT_HEADER_BITS",
    "bad-time": "SPRINT_HEADER_TIME_TOO_OLD",
    "bad-auxpow": "SPRINT_AUXPOW_CHAIN_BRANCH",
    "bad-merkle": "SPRINT_BLOCK_BAD_MERKLE_ROOT",
  };
  for (const chain of UTXO_CHAINS) {
    for (const lie of LIES) {
      if (lie === "bad-auxpow" && chain !== "dogecoin") continue;
      test(`${chain}: ${lie}`, async (context) => {
        const all = await world(context, chain);
        const { node, codec, client, tree } = all;
        for (const header of headersIn(codec, await client.getHeaders([])))
          assert.equal(await proveHeader(all, header), null);
        const truth = node.blocks;
        const hash = await node.lie(lie);
        assert.deepEqual(node.blocks, truth, "a lie is not part of the truth");
        const [announced] = headersIn(codec, await client.next("headers"));
        assert.ok(announced);
        assert.equal(announced.hash, hash);
        if (lie === "unknown-parent") {
          assert.equal(await codec.checkHeader(announced), null);
          assert.equal(tree.has(announced.parentHash), false);
          return;
        }
        const header = await proveHeader(all, announced);
        const body = codec.checkBody(await fetchBody(all, hash), { height: node.tip.height + 1, hash: null }, null);
        const bodyCode = body.ok ? null : body.refusal.code;
        if (lie === "bad-merkle") assert.deepEqual([header, bodyCode], [null, expected[lie]]);
        else assert.equal(header?.code, expected[lie]);
        if (lie === "bad-time") assert.equal(bodyCode, null, "nothing else is wrong");
      });
    }
  }

  test("a chain without merged mining cannot lie about it", async (context) => {
    const { node } = await world(context, "litecoin");
    await assert.rejects(
      node.lie("bad-auxpow"),
      (error) => error instanceof SprintError && error.code === "SPRINT_DEVNET_LIE",
    );
  });
});
