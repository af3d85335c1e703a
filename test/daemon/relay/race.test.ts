import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RaceLedger } from "../../../src/daemon/relay/index.ts";

function arrival(hash: string, upstream: string, at: number, via = "cmpctblock") {
  return { hash, height: Number(hash.slice(1)), upstream, via, at, wall: 1_700_000_000_000 + at };
}

describe("RaceLedger", () => {
  it("tells who was first, and by how much the others came later", () => {
    const race = new RaceLedger({ chain: "litecoin" });
    race.arrived(arrival("b1", "near", 10));
    race.arrived(arrival("b1", "far", 14, "headers"));
    race.arrived(arrival("b1", "far", 99, "inv"));
    race.arrived(arrival("b2", "far", 31));
    race.arrived(arrival("b2", "near", 30));
    race.arrived(arrival("b3", "near", 50));
    race.arrived(arrival("b3", "far", 70));
    const { blocks, standings } = race.report(10);
    assert.deepEqual(
      blocks.map(({ hash }) => hash),
      ["b3", "b2", "b1"],
    );
    assert.deepEqual(blocks[2]?.arrivals, [
      { upstream: "near", via: "cmpctblock", behindMs: 0 },
      { upstream: "far", via: "headers", behindMs: 4 },
    ]);
    assert.equal(blocks[1]?.arrivals[0]?.upstream, "near", "by the time of the read, not of the proof");
    assert.equal(blocks[1]?.firstAt, 1_700_000_000_030);
    assert.deepEqual(standings, [
      { upstream: "near", seen: 3, wins: 3, behindMsP50: null, behindMsP95: null, wrong: 0 },
      { upstream: "far", seen: 3, wins: 0, behindMsP50: 4, behindMsP95: 20, wrong: 0 },
    ]);
    assert.deepEqual(
      race.report(1).standings.map(({ seen }) => seen),
      [1, 1],
    );
  });

  it("remembers who was wrong", () => {
    const race = new RaceLedger({ chain: "bitcoin", keepWrongs: 2 });
    for (const wall of [1, 2, 3])
      race.wrong({ upstream: "liar", code: "SPRINT_HEADER_BAD_WORK", message: "no work", wall });
    const { standings, wrongs } = race.report(5);
    assert.deepEqual([standings[0]?.upstream, standings[0]?.wrong], ["liar", 3]);
    assert.deepEqual(
      wrongs.map(({ wall }) => wall),
      [3, 2],
    );
  });

  it("stays within its bounds", () => {
    const race = new RaceLedger({ chain: "bitcoin", keepBlocks: 5, maxUpstreams: 3 });
    for (let block = 0; block < 50; block++) race.arrived(arrival(`b${block}`, `peer-${block}`, block));
    const { blocks, standings } = race.report(100);
    assert.deepEqual([blocks.length, blocks[0]?.hash, standings.length], [5, "b49", 3]);
  });
});
