import test from "node:test";
import assert from "node:assert/strict";
import { Value } from "typebox/value";
import { SvmStatsBody } from "../../../src/shared/stats-api.ts";
import { SvmStats, type Validator } from "../../../src/daemon/stats/index.ts";
import { hasData, readData } from "../../fakes/data.ts";
import { svmBlock, svmDigest } from "./blocks.ts";

const TIME = 1_700_000_000;

function statsOf(windowBlocks = 150): SvmStats {
  return new SvmStats({ chain: "solana", network: "mainnet", blockTimeSeconds: 0.4, windowBlocks });
}

function report(stats: SvmStats): SvmStatsBody {
  const body = stats.report();
  Value.Assert(SvmStatsBody, body);
  return body;
}

function validator(vote: string, stakeLamports: bigint, delinquent = false): Validator {
  return { vote, node: `n-${vote}`, stakeLamports, delinquent };
}

test("without blocks nothing is guessed", () => {
  const { slot, epoch, slot_time_ms, tps, skipped, leaders, fees_lamports, compute_units, validators } =
    report(statsOf());
  assert.deepEqual(
    [slot, epoch, slot_time_ms, tps, skipped, fees_lamports, compute_units, validators],
    Array.from({ length: 8 }, () => null),
  );
  assert.deepEqual(leaders, []);
});

test(
  "the first slots of mainnet: none skipped, transactions as there are",
  { skip: !hasData && "no chain data" },
  () => {
    const slots = ["00-09", "10-19"].flatMap((name) => JSON.parse(`${readData(`solana/blocks/slots-${name}.json`)}`));
    const stats = statsOf();
    let transactions = 0;
    for (const { slot, parentSlot, transactions: list } of slots) {
      if (slot > 0) transactions += list.length;
      const digest = svmDigest({ slot, parentSlot, transactions: list.length, votes: null, failed: null });
      stats.block(svmBlock(slot, { slot, parentSlot }, TIME + Math.floor(slot * 0.4)), digest);
    }
    const body = report(stats);
    assert.deepEqual(
      [body.slot, body.slot_time_ms, body.skipped],
      [19, 7_000 / 19, { slots: 20, skipped: 0, rate: 0 }],
    );
    const unknown = { votes: null, non_votes: null, failed_share: null };
    assert.deepEqual(body.tps, { blocks: 19, seconds: 7, total: transactions / 7, ...unknown });
  },
);

test("skipped slots are counted between the oldest block and the newest", () => {
  const stats = statsOf(4);
  const slots = [10, 15, 16, 17, 20];
  slots.forEach((slot, i) => stats.block(svmBlock(i, { slot, parentSlot: slots[i - 1] ?? 9 }, TIME + i), null));
  assert.deepEqual(report(stats).skipped, { slots: 6, skipped: 2, rate: 2 / 6 });
  assert.equal(report(stats).slot_time_ms, 3_000 / 5);
});

test("TPS is of the newest blocks that were read without a hole", () => {
  const stats = statsOf();
  for (let i = 0; i < 10; i++) {
    const block = svmBlock(i, { slot: i, parentSlot: i - 1 }, TIME + i);
    stats.block(block, i === 3 || i === 9 ? null : svmDigest({ slot: i, transactions: i < 4 ? 9_999 : 100 }));
  }
  assert.deepEqual(report(stats).tps, {
    blocks: 4,
    seconds: 4,
    total: 100,
    votes: 80,
    non_votes: 20,
    failed_share: 0.05,
  });
});

test("leaders, fees and compute units are of the blocks read", () => {
  const stats = statsOf();
  const leaders = ["a", "a", "b", null, "a"];
  leaders.forEach((leader, slot) => {
    const known = leader !== null;
    const costs = { feesLamports: known ? `${slot}000` : null, computeUnits: known ? slot * 10 : null };
    stats.block(svmBlock(slot, { slot, parentSlot: slot - 1 }, TIME), svmDigest({ slot, leader, ...costs }));
  });
  const body = report(stats);
  assert.deepEqual(body.leaders, [
    { leader: "a", blocks: 3, last_slot: 4 },
    { leader: "b", blocks: 1, last_slot: 2 },
  ]);
  assert.deepEqual(body.fees_lamports, { last: "4000", mean: "1750" });
  assert.deepEqual(body.compute_units, { last: 40, mean: 17.5 });
  assert.equal(body.tps, null, "all within a second");
});

test("the epoch is carried forward by slots, over its end", () => {
  const stats = statsOf();
  stats.epoch({ epoch: 27, slotIndex: 2_790, slotsInEpoch: 8_192, absoluteSlot: 166_598 });
  assert.deepEqual([report(stats).epoch?.epoch, report(stats).epoch?.slot_index], [27, 2_790]);
  stats.block(svmBlock(1, { slot: 166_608, parentSlot: 166_607 }, TIME), null);
  stats.block(svmBlock(2, { slot: 166_698, parentSlot: 166_608 }, TIME + 45), null);
  assert.deepEqual(report(stats).epoch, {
    epoch: 27,
    slot_index: 2_890,
    slots_in_epoch: 8_192,
    progress: 2_890 / 8_192,
    seconds_left: (8_192 - 2_890) / 2,
  });
  stats.block(svmBlock(3, { slot: 166_598 + 8_192 - 2_790, parentSlot: 166_698 }, TIME + 60), null);
  assert.deepEqual([report(stats).epoch?.epoch, report(stats).epoch?.slot_index], [28, 0]);
});

test("validators: who came, went, moved stake or fell behind, until something changes again", () => {
  const stats = statsOf();
  const whale = 15_000_000_000_000_001n;
  stats.votes({
    validators: [validator("a", whale), validator("b", 50n), validator("c", 30n, true), validator("d", 7n)],
  });
  assert.equal(report(stats).validators?.changes, null);
  stats.tick(TIME * 1_000);
  stats.votes({
    validators: [validator("a", whale + 2n), validator("b", 50n, true), validator("c", 20n), validator("e", 9n)],
  });
  const body = report(stats).validators;
  assert.deepEqual([body?.count, body?.delinquent, body?.stake_lamports], [4, 1, `${whale + 81n}`]);
  assert.equal(body?.delinquent_stake_lamports, "50");
  const { changes } = body;
  const names = (list: { largest: readonly { vote: string }[] } | undefined) => list?.largest.map(({ vote }) => vote);
  assert.deepEqual([changes?.joined, changes?.left, changes?.became_delinquent, changes?.recovered].map(names), [
    ["e"],
    ["d"],
    ["b"],
    ["c"],
  ]);
  assert.deepEqual(changes?.moved, {
    count: 2,
    largest: [
      { vote: "c", node: "n-c", from_lamports: "30", to_lamports: "20" },
      { vote: "a", node: "n-a", from_lamports: `${whale}`, to_lamports: `${whale + 2n}` },
    ],
  });
  assert.equal(changes.at, "2023-11-14T22:13:20Z");

  const same = [validator("a", whale + 2n), validator("b", 50n, true), validator("c", 20n), validator("e", 9n)];
  stats.tick((TIME + 60) * 1_000);
  stats.votes({ validators: same });
  assert.deepEqual(report(stats).validators?.changes, changes);
  stats.votes(null);
  assert.equal(report(stats).validators, null);
  stats.votes({ validators: [...same, ...Array.from({ length: 30 }, (_, i) => validator(`x${i}`, BigInt(i)))] });
  const joined = report(stats).validators?.changes?.joined;
  assert.deepEqual([joined?.count, joined?.largest.length, joined?.largest[0]?.vote], [30, 20, "x29"]);
});
