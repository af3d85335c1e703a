/** Headers with and without AuxPoW, as they come in a `headers` message of a merged-mined chain. */
import assert from "node:assert/strict";
import { decodeHeader, encodeHeader, networksOf, paramsFor } from "../../src/daemon/chain/index.ts";
import { CHAINS } from "../../src/shared/chain.ts";
import { forgeAuxPow } from "../fakes/auxpow.ts";
import { hasData, readData } from "../fakes/data.ts";
import { fuzzParser } from "./harness.ts";
import type { FuzzResult } from "./mutate.ts";

export function fuzz(seed: number, iterations: number): FuzzResult {
  const dogecoin = paramsFor("dogecoin", "mainnet");
  const corpus: Uint8Array[] = CHAINS.flatMap((chain) => networksOf(chain).map((params) => params.genesisHeader));
  const merged = Buffer.from(dogecoin.genesisHeader);
  merged.writeInt32LE(0x0062_0104, 0);
  const branch = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  for (const withWitness of [false, true]) {
    const auxpow = forgeAuxPow("11".repeat(32), { coinbaseBranch: branch, chainBranch: branch, withWitness });
    corpus.push(encodeHeader({ raw: merged, auxpow }));
  }
  if (hasData) {
    for (const height of ["0371337", "0748634", "2264125"]) {
      const block = readData(`dogecoin/blocks/${height}.raw`);
      corpus.push(block.subarray(0, decodeHeader(block, 0, dogecoin).end + 8));
    }
  }
  return fuzzParser(corpus, (input) => parses(input, dogecoin), seed, iterations);
}

function parses(input: Uint8Array, params: ReturnType<typeof paramsFor>): boolean {
  const { header, end } = decodeHeader(input, 0, params);
  assert.ok(end >= 80 && end <= input.length);
  const again = decodeHeader(encodeHeader(header), 0, params).header;
  assert.deepEqual(again, header);
  return true;
}
