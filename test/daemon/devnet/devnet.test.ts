/** The three nodes of a bare start. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { paramsFor } from "../../../src/daemon/chain/index.ts";
import { startDevnet } from "../../../src/daemon/devnet/index.ts";
import { UTXO_CHAINS, type UtxoChain } from "../../../src/shared/chain.ts";
import { SprintError } from "../../../src/shared/errors.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { greet } from "./client.ts";

const codecs = {
  bitcoin: { params: paramsFor("bitcoin", "regtest") },
  litecoin: { params: paramsFor("litecoin", "regtest") },
  dogecoin: { params: paramsFor("dogecoin", "regtest") },
};

test("starts a node for each chain, mines on each, and closes them all", async (context) => {
  const clock = new FakeClock();
  const mined: Record<UtxoChain, number> = { bitcoin: 0, litecoin: 0, dogecoin: 0 };
  const devnet = await startDevnet({ seed: 1 }, { codecs, clock, onBlock: (chain) => mined[chain]++ });
  context.after(() => devnet.close());
  const ports = UTXO_CHAINS.map((chain) => devnet.nodes[chain].address.port);
  assert.equal(new Set(ports).size, 3);
  const { rpcAddress, url } = devnet.nodes.bitcoin;
  assert.equal(url, `p2p://127.0.0.1:${ports[0]}?network=regtest&rpc=http://127.0.0.1:${rpcAddress.port}`);
  const clients = await Promise.all(
    UTXO_CHAINS.map((chain) => greet(devnet.nodes[chain].address.port, codecs[chain].params)),
  );
  const histories = UTXO_CHAINS.map((chain) => devnet.nodes[chain].tip.height);
  assert.deepEqual(histories, [12, 12, 24]);
  while (Object.values(mined).some((count) => count < 3)) await clock.advanceAsync(1_000);
  await devnet.close();
  await Promise.all(clients.map((client) => client.closed));
  assert.equal(clock.pending, 0);
});

test("where one node cannot listen, none stays behind", async () => {
  const clock = new FakeClock();
  await assert.rejects(
    startDevnet({ seed: 1, host: "192.0.2.1" }, { codecs, clock }),
    (error) => error instanceof SprintError && error.code === "SPRINT_DEVNET_LISTEN",
  );
  assert.equal(clock.pending, 0);
});
