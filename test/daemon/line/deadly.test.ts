/** Bodies that no thread survives. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { BodyVerdict } from "../../../src/daemon/chain/index.ts";
import { SprintError } from "../../../src/shared/errors.ts";
import { HeadsJourney, ROOT, branch } from "./headsjourney.ts";

async function check(raw: Uint8Array): Promise<BodyVerdict> {
  if (raw.length > 1) throw new SprintError("SPRINT_PROVE_CRASHED", "out of memory");
  return { ok: true, facts: { txCount: 1, sizeBytes: 1, level: "full" } };
}

test("the next upstream is asked where a body took its thread down, and who sent that is taken out", async () => {
  const journey = new HeadsJourney({ check });
  const chain = branch("x", ROOT, 1);
  const [liar, honest] = [await journey.feed("liar"), await journey.feed("honest")];
  for (const hash of ["root", "x101"]) {
    liar.bodies.set(hash, new Uint8Array(2));
    honest.bodies.set(hash, new Uint8Array(1));
  }
  journey.tell(liar, ...chain);
  journey.tell(honest, ...chain);
  await journey.clock.advanceAsync(3_000);
  await journey.settle();
  assert.equal(journey.told, "roota x101a rootv x101v");
  assert.deepEqual(new Set(journey.faults), new Set(["liar SPRINT_UPSTREAM_DEADLY_BODY"]));
});

test("where every body takes its thread down nobody is to blame, and the block is given up", async () => {
  const journey = new HeadsJourney({ check });
  const feed = await journey.feed("a", ...branch("x", ROOT, 1));
  for (const hash of ["root", "x101"]) feed.bodies.set(hash, new Uint8Array(2));
  await journey.clock.advanceAsync(130_000);
  await journey.settle();
  assert.match(journey.told, /gap:body_unavailable/);
  assert.deepEqual(journey.faults, []);
});
