/** Merged-mining proofs: what is taken by the parser goes through all rules but the work. */
import { checkAuxPowCommitment, checkAuxPowVersion } from "../../src/daemon/chain/auxpow.ts";
import { decodeHeader, encodeHeader, headerBytes, paramsFor } from "../../src/daemon/chain/index.ts";
import { forgeAuxPow } from "../fakes/auxpow.ts";
import { hasData, readData } from "../fakes/data.ts";
import { fuzzParser } from "./harness.ts";
import type { FuzzResult } from "./mutate.ts";

export function fuzz(seed: number, iterations: number): FuzzResult {
  const params = paramsFor("dogecoin", "mainnet");
  const rules = params.headerRules.auxpow;
  if (rules === null) throw new Error("Dogecoin is merged-mined");
  const fields = { version: 0x0062_0104, parentHash: "11".repeat(32), merkleRoot: "22".repeat(32) };
  const raw = headerBytes({ ...fields, time: 1_700_000_000, bits: 0x207fffff, nonce: 0 });
  const { hash } = decodeHeader(raw, 0, { headerRules: { ...params.headerRules, auxpow: null } }).header;
  const branch = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const proofs = [
    forgeAuxPow(hash),
    forgeAuxPow(hash, { withWitness: true }),
    forgeAuxPow(hash, { magic: Buffer.alloc(0) }),
    forgeAuxPow(hash, { coinbaseBranch: branch, chainBranch: branch, chainIndex: 2, nonce: 1 }),
  ];
  const headers: Uint8Array[] = proofs.map((auxpow) => encodeHeader({ raw, auxpow }));
  if (hasData) {
    for (const height of ["0371337", "0748634", "2264125"]) {
      const block = readData(`dogecoin/blocks/${height}.raw`);
      headers.push(block.subarray(0, decodeHeader(block, 0, params).end));
    }
  }
  // Only what stands behind the 80 bytes is changed: the version must go on announcing a proof, the hash stay what it commits to.
  const bare = headers.map((header) => header.subarray(0, 80));
  const corpus = headers.map((header) => header.subarray(80));
  const judge = (input: Uint8Array, source: number): boolean => {
    const { header } = decodeHeader(Buffer.concat([bare[source] as Uint8Array, input]), 0, params);
    if (header.auxpow === null) throw new TypeError("a version that announces a proof was read without one");
    return checkAuxPowVersion(header, rules) === null && checkAuxPowCommitment(header, header.auxpow) === null;
  };
  return fuzzParser(corpus, judge, seed, iterations);
}
