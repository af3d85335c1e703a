/** The P2P feed against a real bcoin: another implementation, without wtxidrelay. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { codecFor, paramsFor } from "../../../src/daemon/chain/index.ts";
import { bcoinMissing, startBcoin } from "../../fakes/bcoin.ts";
import { FeedListener } from "../../fakes/feed-listener.ts";

const never = new AbortController().signal;
const BITCOIN = codecFor(paramsFor("bitcoin", "regtest"));

test("a real bcoin: its headers, each block as it is mined, and the bodies", async (t) => {
  const node = await startBcoin();
  if (node === null) return t.skip(bcoinMissing());
  const listener = new FeedListener(node.p2pPort, BITCOIN);
  t.after(async () => {
    await listener.feed.close();
    await node.stop();
  });
  const old = await node.mine(3);
  await listener.until(() => listener.told.includes("up"));
  const headers = await listener.feed.headersAfter([BITCOIN.params.genesisHash], never);
  const mined = await node.mine(3);
  for (const hash of mined) await listener.heard(hash);
  for (const hash of [...old, ...mined]) {
    const verdict = BITCOIN.checkBody(await listener.feed.body(hash, never), { height: null, hash: null }, null);
    assert.ok(verdict.ok, JSON.stringify(verdict));
  }
  assert.deepEqual(
    headers.map(({ hash }) => hash),
    old,
  );
  assert.match(listener.feed.status().agent ?? "", /^\/bcoin:/);
});
