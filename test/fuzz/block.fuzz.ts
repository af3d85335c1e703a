/** Whole blocks: every input ends in a verdict, every refusal has a stable code, and a verdict does not depend on what came before. */
import assert from "node:assert/strict";
import type { WatchSet } from "../../src/shared/body.ts";
import { codecFor, type BodyVerdict, type UtxoCodec, type UtxoFacts, paramsFor } from "../../src/daemon/chain/index.ts";
import { blockBytes, coinbase, committed, spend } from "../fakes/blocks.ts";
import { hasData, readData } from "../fakes/data.ts";
import { fuzzParser } from "./harness.ts";
import type { FuzzResult } from "./mutate.ts";

interface Seed {
  readonly raw: Uint8Array;
  readonly codec: UtxoCodec;
  readonly height: number | null;
}

/** Small real blocks: a large one only makes the same paths slower. */
const REAL = [
  ["bitcoin", "mainnet", "bitcoin/blocks/091880.raw", 91_880],
  ["bitcoin", "mainnet", "bitcoin/blocks/482683.raw", 482_683],
  ["bitcoin", "mainnet", "bitcoin/blocks/766390.raw", 766_390],
  ["bitcoin", "testnet4", "bitcoin/testnet4/0040000.raw", 40_000],
  ["litecoin", "mainnet", "litecoin/blocks/2383207.raw", 2_383_207],
  ["litecoin", "testnet", "litecoin/testnet4/2215584.raw", 2_215_584],
  ["litecoin", "regtest", "litecoin/regtest/mweb-432.raw", 432],
  ["dogecoin", "mainnet", "dogecoin/blocks/0371337.raw", 371_337],
  ["dogecoin", "mainnet", "dogecoin/blocks/0748634.raw", 748_634],
] as const;

/** The known good block is proved again every so often. */
const CONTROL_INTERVAL = 1_000;

/** What holds is read as well, every output and input of it. */
const WATCHED: WatchSet = {
  items: new Set(["51"]),
  topics: new Set(),
  outpoints: new Map([[`${"01".repeat(32)}:0`, "51"]]),
};

export function fuzz(seed: number, iterations: number): FuzzResult {
  const seeds = corpus();
  const [control] = seeds as [Seed];
  const expected = prove(control);
  assert.ok(expected.ok);
  let inputs = 0;
  return fuzzParser(
    seeds.map(({ raw }) => raw),
    (input, source) => {
      const { codec, height } = seeds[source] as Seed;
      // half with the height that is known, half by the coinbase
      const place = { height: inputs % 2 === 0 ? height : null, hash: null };
      let verdict = codec.checkBody(input, place, WATCHED);
      assertVerdict(verdict, input);
      if (!verdict.ok && verdict.refusal.code === "SPRINT_BLOCK_BAD_MERKLE_ROOT") {
        // almost every change ends at the root: put the right one in to reach the rules behind it
        const rooted = Buffer.from(input);
        rooted.set(Buffer.from(String(verdict.refusal.data["actual"]), "hex").reverse(), 36);
        verdict = codec.checkBody(rooted, place, WATCHED);
        assertVerdict(verdict, rooted);
        assert.ok(verdict.ok || verdict.refusal.code !== "SPRINT_BLOCK_BAD_MERKLE_ROOT");
      }
      if (++inputs % CONTROL_INTERVAL === 0) {
        assert.deepEqual(prove(control), expected, "an earlier input left a trace");
      }
      return verdict.ok;
    },
    seed,
    iterations,
  );
}

function prove({ codec, raw, height }: Seed): BodyVerdict<UtxoFacts> {
  return codec.checkBody(raw, { height, hash: null }, WATCHED);
}

function assertVerdict(verdict: BodyVerdict<UtxoFacts>, input: Uint8Array): void {
  if (verdict.ok) {
    const { txCount, sizeBytes, weight } = verdict.facts;
    assert.ok(txCount > 0 && sizeBytes === input.length && weight <= 4_000_000);
    return;
  }
  assert.match(verdict.refusal.code, /^SPRINT_(DECODE|BLOCK)_[A-Z0-9_]+$/);
  assert.match(verdict.refusal.message, /: expected .*, got /s);
}

function corpus(): Seed[] {
  const witness = [Buffer.from("cafe", "hex")];
  const bitcoin = codecFor(paramsFor("bitcoin", "regtest"));
  const built: Seed[] = [
    { raw: blockBytes({ transactions: [coinbase(700), spend(1), spend(2)] }), codec: bitcoin, height: 700 },
    {
      raw: blockBytes({ transactions: committed(700, [spend(1, { inputs: [{ witness }] }), spend(2)]) }),
      codec: bitcoin,
      height: 700,
    },
  ];
  if (!hasData) return built;
  const real = REAL.map(([chain, network, file, height]) => ({
    raw: readData(file),
    codec: codecFor(paramsFor(chain, network)),
    height,
  }));
  return [...built, ...real];
}
