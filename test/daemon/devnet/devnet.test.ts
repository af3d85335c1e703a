/** The five nodes of a bare start. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { paramsFor } from "../../../src/daemon/chain/index.ts";
import { DEVNET_CHAINS, startDevnet } from "../../../src/daemon/devnet/index.ts";
import { UTXO_CHAINS, type UtxoChain } from "../../../src/shared/chain.ts";
import { SprintError } from "../../../src/shared/errors.ts";
import { hasAnvil } from "../../fakes/anvil.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { greet } from "./client.ts";
import { rpc } from "./evm-client.ts";

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
  assert.deepEqual([...devnet.urls.keys()].toSorted(), DEVNET_CHAINS.toSorted());
  const addresses = UTXO_CHAINS.map((chain) => new URL(devnet.urls.get(chain) ?? ""));
  for (const { protocol, hostname, searchParams } of addresses) {
    assert.deepEqual([protocol, hostname, searchParams.get("network")], ["p2p:", "127.0.0.1", "regtest"]);
    assert.match(searchParams.get("rpc") ?? "", /^http:\/\/127\.0\.0\.1:[1-9]/);
  }
  assert.equal(new Set(addresses.map(({ port }) => port)).size, 3);
  const clients = await Promise.all(
    UTXO_CHAINS.map((chain, i) => greet(Number(addresses[i]?.port), codecs[chain].params)),
  );
  const [ethereum, solana] = [devnet.urls.get("ethereum") ?? "", devnet.urls.get("solana") ?? ""];
  assert.equal(devnet.ethereum, hasAnvil ? "anvil" : "embedded");
  assert.equal(await rpc(ethereum, "eth_chainId"), "0x7a69");
  assert.equal(await rpc(solana, "getHealth"), "ok");
  while (Object.values(mined).some((count) => count < 3)) await clock.advanceAsync(1_000);
  await devnet.close();
  await Promise.all(clients.map((client) => client.closed));
  await assert.rejects(rpc(ethereum, "eth_chainId"));
  assert.equal(clock.pending, 0);
});

test("starts the nodes that were asked for", async (context) => {
  const devnet = await startDevnet({ seed: 1, chains: ["litecoin"] }, { codecs, clock: new FakeClock() });
  context.after(() => devnet.close());
  assert.deepEqual([...devnet.urls.keys()], ["litecoin"]);
  assert.equal(devnet.ethereum, null);
});

test("where one node cannot listen, none stays behind", async () => {
  const clock = new FakeClock();
  await assert.rejects(
    startDevnet({ seed: 1, host: "192.0.2.1" }, { codecs, clock }),
    (error) => error instanceof SprintError && error.code === "SPRINT_DEVNET_LISTEN",
  );
  assert.equal(clock.pending, 0);
});
