/** The Solana devnet's chain, held against the checks of the relay. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  type SvmParams,
  checkSvmBlock,
  checkSvmLink,
  encodeBase58,
  svmParams,
} from "../../../src/daemon/chain/index.ts";
import { SvmDevnetNode, type SvmSlotRef } from "../../../src/daemon/devnet/index.ts";
import type { SvmAccount } from "../../../src/daemon/devnet/svm-execute.ts";
import { SvmState } from "../../../src/daemon/devnet/svm-state.ts";
import { seededRandom } from "../../../src/shared/clock.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { get, startSvm } from "./svm-client.ts";

const address = (seed: number): string => encodeBase58(new Uint8Array(32).fill(seed));

/** Stricter than the network asks for: even ticks, and the genesis that was made here. */
function paramsOf(node: SvmDevnetNode): SvmParams {
  return { ...svmParams("localnet"), genesisHash: node.genesisHash, evenTicks: true };
}

/** Checks every block in full, entries included, and each against the one before; how many there were. */
function checkChain(node: SvmDevnetNode): number {
  const params = paramsOf(node);
  const headers = node.blocks.map(({ slot, hash, height, parentSlot }) => {
    const verdict = checkSvmBlock(node.block(slot), { params, slot });
    assert.ok(verdict.ok, JSON.stringify(verdict));
    assert.deepEqual(verdict.facts.skipped, []);
    assert.equal(verdict.facts.entries?.ticks, 64 * Math.max(1, slot - parentSlot));
    assert.deepEqual([verdict.header.hash, verdict.header.height], [hash, height]);
    return verdict.header;
  });
  headers.slice(1).forEach((header, i) => assert.equal(checkSvmLink(headers[i] as typeof header, header), null));
  return headers.length;
}

test("every block proves in full, and links hold over skipped slots, forks, dead slots and blocks beside the chain", async (context) => {
  const node = await startSvm(context);
  node.mine(3);
  const before = node.tip;
  node.skip(5);
  const [first] = node.mine();
  assert.deepEqual(
    [first?.slot, first?.parentSlot, first?.height],
    [before.slot + 6, before.slot, before.height + 1],
    "a skipped slot has no height",
  );
  const beside = node.orphan();
  assert.equal(beside.parentSlot, before.slot);
  assert.equal(node.tip.slot, first?.slot, "nobody builds on it");
  node.mine(2);
  const { reverted, applied } = node.fork(2, 2);
  assert.deepEqual([reverted.length, applied.length], [2, 2]);
  assert.equal(applied[0]?.parentSlot, first?.slot);
  const dead = node.dead();
  assert.equal(node.mine()[0]?.slot, dead + 1);
  assert.ok(checkChain(node) > 18);
  for (const { slot } of [beside, ...reverted]) {
    assert.ok(checkSvmBlock(node.block(slot), { params: paramsOf(node), slot }).ok, "branches given up prove as well");
  }
  assert.equal(node.block(dead), null);
});

test("by itself it skips, forks and breaks off now and then, and the chain proves", async (context) => {
  const clock = new FakeClock();
  const seen: SvmSlotRef[] = [];
  const node = await startSvm(
    context,
    { slotMs: 400, skipChance: 0.1, forkChance: 0.1, deadChance: 0.05, historySlots: 8 },
    { clock, onBlock: (block) => seen.push({ parentSlot: -1, ...block }) },
  );
  const events: string[] = [];
  context.after(node.ledger.onEvent(({ type }) => void events.push(type)));
  clock.advance(120 * 400);
  const blocks = checkChain(node);
  assert.ok(node.tip.slot >= 120 && blocks < node.tip.slot, "some slots have no block");
  assert.ok(events.includes("dead"));
  assert.ok(seen.length > blocks - 9, "more blocks were the newest than are now on the chain");
  assert.equal(seen.at(-1)?.hash, node.tip.hash);
});

test("the same seed gives the same chain, another one another network", async () => {
  const make = async (seed: number): Promise<SvmDevnetNode> => {
    const node = new SvmDevnetNode(
      { slotMs: null, skipChance: 0.3 },
      { clock: new FakeClock(), random: seededRandom(seed) },
    );
    await node.start();
    node.mine(5);
    await node.close();
    return node;
  };
  const [first, again, other] = await Promise.all([make(1), make(1), make(2)]);
  assert.deepEqual(first.blocks, again.blocks);
  assert.notEqual(first.genesisHash, other.genesisHash);
});

test("confirmed and root follow the newest block, and a fork above them leaves them", async (context) => {
  const node = await startSvm(context, { confirmedBehind: 2, rootBehind: 6 });
  node.mine(4);
  const at = (height: number): SvmSlotRef | undefined => node.blocks.find((block) => block.height === height);
  assert.deepEqual(node.confirmed, at(node.tip.height - 2));
  assert.deepEqual(node.root, at(node.tip.height - 6));
  const { confirmed, root } = node;
  node.fork(2);
  assert.deepEqual([node.confirmed, node.root], [confirmed, root]);
  node.fork(5);
  assert.ok(node.confirmed.height < confirmed.height, "a branch from below what was confirmed takes it back");
  assert.throws(() => node.fork(1_000), { code: "SPRINT_DEVNET_ORDER" });
  node.mine(8);
  checkChain(node);
});

async function balance(context: { readonly node: SvmDevnetNode }, to: string, commitment: string): Promise<number> {
  return (await get(context.node, "getBalance", to, { commitment })).value;
}

test("a payment is undone with its branch, and is in the next block of the other one", async (context) => {
  const node = await startSvm(context);
  const to = address(9);
  const signature = node.pay(to, 2_000_000);
  node.mine();
  const status = async (): Promise<{ slot: number; confirmationStatus: string } | null> =>
    (await get(node, "getSignatureStatuses", [signature])).value[0];
  const first = await status();
  assert.equal(first?.slot, node.tip.slot);
  assert.equal(await balance({ node }, to, "processed"), 2_000_000);
  assert.equal(await balance({ node }, to, "confirmed"), 0);
  node.fork(1);
  assert.equal((await status())?.slot, node.tip.slot);
  assert.notEqual(node.tip.slot, first?.slot);
  assert.equal(await balance({ node }, to, "processed"), 2_000_000, "once, not twice");
  node.mine(6);
  assert.equal((await status())?.confirmationStatus, "finalized");
  assert.equal(await balance({ node }, to, "finalized"), 2_000_000);
});

test("so many transactions wait, and what is final or too old waits no more", async (context) => {
  const node = await startSvm(context, { maxTransfers: 0 });
  const own = node.ledger.validators[0]?.identity.key as Uint8Array;
  const pay = (): boolean => {
    const before = node.ledger.waiting;
    node.ledger.pay(own, 1);
    return node.ledger.waiting > before;
  };
  for (let i = 0; i < 1_000; i++) assert.ok(pay());
  assert.equal(pay(), false);
  node.mine(12);
  assert.ok(node.ledger.waiting < 1_000 && node.ledger.waiting > 0, `${node.ledger.waiting}`);
  node.mine(12);
  assert.equal(node.ledger.waiting, 0);
  assert.ok(pay());
  node.fork(1);
  node.mine(100);
  assert.equal(node.ledger.waiting, 1, "its blockhash went with the branch");
  node.mine(100);
  assert.equal(node.ledger.waiting, 0);
});

test("an account that would hold less than it needs to be is not made, and the fee is gone", async (context) => {
  const node = await startSvm(context, { maxTransfers: 0 });
  const to = address(4);
  const signature = node.pay(to, 890_879);
  node.mine(3);
  const { meta, transaction } = await get(node, "getTransaction", signature, { commitment: "confirmed" });
  assert.deepEqual(meta.err, {
    InsufficientFundsForRent: { account_index: transaction.message.accountKeys.indexOf(to) },
  });
  assert.equal(meta.preBalances[0] - meta.postBalances[0], 5_000);
  assert.equal(await balance({ node }, to, "processed"), 0);
  node.pay(to, 890_880);
  node.mine();
  assert.equal(await balance({ node }, to, "processed"), 890_880);
});

test("there are so many accounts and no more", () => {
  const state = new SvmState(new Map());
  const changes = new Map<string, SvmAccount>();
  const accounts = state.on(null, changes);
  const account: SvmAccount = { lamports: 1, owner: "", executable: false, vote: null };
  for (let i = 0; i < 100_001; i++) accounts.set(`${i}`, account);
  assert.equal(changes.size, 100_000);
  accounts.set("7", { ...account, lamports: 2 });
  assert.equal(accounts.get("7")?.lamports, 2, "those that are there go on changing");
});

test("keeps so many banks and no more, and still knows the accounts of those that are gone", async (context: TestContext) => {
  const node = await startSvm(context, { keepBanks: 20, maxTransfers: 0 });
  const to = address(3);
  const signature = node.pay(to, 5_000_000);
  node.mine(40);
  assert.equal(node.blocks.length, 20);
  assert.equal(await balance({ node }, to, "finalized"), 5_000_000);
  assert.equal((await get(node, "getSignatureStatuses", [signature])).value[0], null);
  assert.equal(await get(node, "getFirstAvailableBlock"), node.blocks[0]?.slot);
});
