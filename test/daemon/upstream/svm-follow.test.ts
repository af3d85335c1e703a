import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type SvmAnnounced, svmLocator } from "../../../src/daemon/chain/index.ts";
import { SvmFollower } from "../../../src/daemon/upstream/svm-follow.ts";

/** Block names need not be hashes here: slot and branch. */
function header(slot: number, parent: SvmAnnounced | null, branch = ""): SvmAnnounced {
  const hash = `${slot}${branch}`;
  return {
    hash,
    parentHash: parent?.hash ?? "none",
    height: parent === null ? 10 : (parent.height ?? 0) + 1,
    locator: svmLocator(slot, hash),
    slot,
    parentSlot: parent?.slot ?? 0,
    timestamp: 7,
  };
}

const anchor = header(100, null);

function follower(): { readonly told: string[][]; readonly follow: SvmFollower } {
  const told: string[][] = [];
  const follow = new SvmFollower({
    nowSeconds: () => 7,
    announce: (announcements) =>
      told.push(announcements.map(({ header, via }) => `${via} ${header.hash}<${header.parentHash}`)),
  });
  follow.startAt(anchor);
  return { told, follow };
}

describe("a follower of Solana", () => {
  it("tells a processed block when slot, parent and hash are known, over skipped slots", () => {
    const { told, follow } = follower();
    follow.opened(101, 100);
    follow.processed({ slot: 101, hash: "101" }, 1);
    follow.opened(105, 101);
    follow.processed({ slot: 105, hash: "105" }, 2);
    follow.processed({ slot: 105, hash: "105" }, 3);
    assert.deepEqual(told, [["slot 101<100"], ["slot 105<101"]]);
    assert.deepEqual(follow.head, { ...header(105, header(101, anchor)), height: 12 });
    assert.equal(follow.hasHole, false);
    assert.equal(follow.parentOf("105:105"), "101");
    assert.equal(follow.parentOf("9:9"), null);
  });

  it("holds what has a hole before it, until that is confirmed", () => {
    const { told, follow } = follower();
    const [a, b] = [header(101, anchor), header(103, header(101, anchor))];
    follow.processed({ slot: 101, hash: "101" }, 1);
    assert.ok(follow.hasHole, "its parent's slot was not told");
    follow.opened(104, 103);
    follow.processed({ slot: 104, hash: "104" }, 4);
    follow.opened(105, 104);
    follow.processed({ slot: 105, hash: "105" }, 5);
    assert.deepEqual(told, []);
    assert.ok(follow.confirmed([a, b], 103, 6));
    assert.deepEqual(told, [["rpc 101<100", "rpc 103<101", "slot 104<103", "slot 105<104"]]);
    assert.deepEqual([follow.hasHole, follow.confirmedSlot], [false, 103]);
  });

  it("throws where a confirmed block names another parent than the node gave as confirmed", () => {
    const [a, forged] = [header(101, anchor), header(101, anchor, "x")];
    const contradiction = { code: "SPRINT_UPSTREAM_CONTRADICTION" };
    const another = follower().follow;
    assert.throws(() => another.confirmed([forged, header(103, a)], 103, 1), contradiction);
    const pushing = follower().follow;
    pushing.pushed(a, 1);
    assert.throws(() => pushing.pushed({ ...header(103, a), parentHash: "nobody's" }, 2), contradiction);
    const ofAnchor = follower().follow;
    assert.throws(() => ofAnchor.pushed({ ...a, parentHash: "nobody's" }, 1), contradiction);
  });

  it("takes no fork, no name that is missing and no slot that was only processed for a contradiction", () => {
    const { follow } = follower();
    follow.opened(101, 100);
    follow.processed({ slot: 101, hash: "101x" }, 1);
    const a = header(101, anchor);
    assert.ok(follow.pushed(a, 2), "another block of its slot was confirmed");
    assert.ok(follow.pushed(header(102, anchor), 3));
    assert.ok(follow.confirmed([header(103, a)], 103, 4));
    follow.pushed({ ...header(104, header(103, a)), parentHash: "1".repeat(32) }, 5);
    assert.ok(follow.pushed(header(105, header(103, a)), 6));
  });

  it("lets go of what was held on a fork that lost", () => {
    const { told, follow } = follower();
    follow.processed({ slot: 102, hash: "102x" }, 1);
    const a = header(101, anchor);
    follow.confirmed([a, header(104, a)], 104, 2);
    assert.equal(follow.hasHole, false);
    assert.deepEqual(told, [["rpc 101<100", "rpc 104<101"]]);
  });

  it("tells a head again that the node goes back to, another branch at once", () => {
    const { told, follow } = follower();
    follow.opened(101, 100);
    follow.processed({ slot: 101, hash: "101" }, 1);
    follow.opened(102, 100);
    follow.processed({ slot: 102, hash: "102" }, 2);
    follow.processed({ slot: 101, hash: "101" }, 3);
    follow.processed({ slot: 102, hash: "102" }, 4);
    assert.deepEqual(told, [["slot 101<100"], ["slot 102<100"], ["slot 101<100"], ["slot 102<100"]]);
  });

  it("goes back on its own branch only when nothing else is told for a while", () => {
    const { told, follow } = follower();
    follow.opened(101, 100);
    follow.processed({ slot: 101, hash: "101" }, 0);
    follow.processed({ slot: 100, hash: "100" }, 100);
    follow.processed({ slot: 101, hash: "101" }, 200);
    follow.processed({ slot: 100, hash: "100" }, 300);
    follow.processed({ slot: 100, hash: "100" }, 2_200);
    assert.equal(told.length, 1, "a late node behind the same address");
    follow.processed({ slot: 100, hash: "100" }, 2_300);
    assert.deepEqual(told.slice(1), [["slot 100<none"]]);
  });

  it("leaves a slot that died", () => {
    const { told, follow } = follower();
    follow.opened(101, 100);
    follow.processed({ slot: 101, hash: "101" }, 0);
    follow.opened(103, 102);
    follow.processed({ slot: 103, hash: "103" }, 0);
    follow.dead(103, 1);
    assert.equal(follow.hasHole, false);
    follow.dead(101, 2);
    assert.deepEqual(told, [["slot 101<100"], ["slot 100<none"]]);
    follow.dead(77, 3);
    assert.equal(told.length, 2);
  });

  it("does not link to a block that the node has thrown away for another of its slot", () => {
    const { told, follow } = follower();
    follow.opened(101, 100);
    follow.processed({ slot: 101, hash: "101" }, 0);
    follow.opened(101, 99);
    follow.opened(102, 101);
    follow.processed({ slot: 102, hash: "102" }, 1);
    assert.equal(told.length, 1);
    assert.ok(follow.hasHole);
  });

  it("finds out that its block of a slot is not the confirmed one", () => {
    const { told, follow } = follower();
    follow.opened(101, 100);
    follow.processed({ slot: 101, hash: "101x" }, 0);
    const a = header(101, anchor);
    const b = header(102, a);
    assert.equal(follow.confirmed([b], 102, 1), false);
    assert.deepEqual([follow.confirmedSlot, follow.knowsSlot(101)], [100, false]);
    assert.ok(follow.confirmed([a, b], 102, 2));
    assert.deepEqual(told, [["slot 101x<100"], ["rpc 101<100", "rpc 102<101"]]);
  });

  it("takes what is pushed when confirmed, and says where it cannot", () => {
    const { told, follow } = follower();
    const a = header(101, anchor);
    const b = header(102, a);
    assert.equal(follow.pushed(b, 1), false);
    assert.ok(follow.pushed(a, 2));
    assert.ok(follow.pushed(b, 3));
    assert.ok(follow.pushed(b, 4));
    assert.deepEqual([told, follow.confirmedSlot], [[["rpc 101<100"], ["rpc 102<101"]], 102]);
  });

  it("knows which block was confirmed, which lost, and which will be told", () => {
    const { follow } = follower();
    const at = (slot: number, hash = `${slot}`) => follow.standingOf({ slot, hash });
    assert.equal(at(101), "unknown", "nobody tells what is confirmed");
    const a = header(101, anchor);
    follow.heardConfirmed(100, true);
    assert.equal(at(101), "waiting");
    follow.opened(102, 100);
    follow.processed({ slot: 102, hash: "102x" }, 0);
    follow.confirmed([a, header(103, a)], 103, 1);
    follow.heardConfirmed(103, true);
    follow.heardConfirmed(101, true);
    assert.deepEqual([at(101), at(103), at(102, "102x"), at(103, "103x")], ["confirmed", "confirmed", "lost", "lost"]);
    assert.deepEqual([at(104), at(99), follow.newestConfirmed], ["waiting", "unknown", 103]);
    follow.heardConfirmed(110, true);
    assert.equal(at(101), "unknown", "the block of that slot was not told");
  });

  it("names the block of a rooted slot by its head's branch", () => {
    const { follow } = follower();
    follow.opened(101, 100);
    follow.processed({ slot: 101, hash: "101x" }, 0);
    const a = header(101, anchor);
    follow.confirmed([a, header(105, a)], 105, 1);
    assert.deepEqual(follow.pointAt(101), { hash: "101", height: 11 });
    assert.equal(follow.pointAt(103), null, "skipped");
    assert.equal(follow.pointAt(99), null);
  });

  it("keeps its order and its bounds whatever comes", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(5), fc.nat(12), fc.nat(12)), { maxLength: 300 }), (steps) => {
        const known = new Set([anchor.hash]);
        const follow = new SvmFollower({
          nowSeconds: () => 7,
          announce(announcements) {
            assert.ok(announcements.length > 0);
            for (const { header } of announcements) {
              const { slot, parentSlot } = header as SvmAnnounced;
              assert.ok(slot > parentSlot);
              assert.ok(known.has(header.parentHash) || known.has(header.hash), `${header.hash} after its parent`);
              known.add(header.hash);
            }
          },
        });
        follow.startAt(anchor);
        steps.forEach(([what, a, b], at) => {
          const [slot, parent] = [101 + a, 100 + b];
          if (what <= 1) follow.opened(slot, parent);
          else if (what <= 3) follow.processed({ slot, hash: `${slot}${b > 9 ? "x" : ""}` }, at * 500);
          else if (what === 4) follow.dead(slot, at * 500);
          else if (parent < slot)
            follow.confirmed([{ ...header(slot, null), parentHash: `${parent}`, parentSlot: parent }], slot, at * 500);
        });
      }),
      { numRuns: 300, seed: 5 },
    );
  });
});
