/** Known-good places to start from, so that nobody has to fetch a chain from its first block. */
import { SprintError } from "../../shared/errors.ts";
import { displayHash, sha256d } from "./hash.ts";
import { HEADER_BYTES } from "./header.ts";
import type { Checkpoint, NetworkParams } from "./types.ts";
import { expandBits, targetHex, work } from "./work.ts";

/** Bitcoin mainnet, 12 January 2025: first block of a difficulty period, so the next retarget can be checked in full. */
export const BITCOIN_MAINNET: Checkpoint = {
  height: 878_976,
  header: Buffer.from(
    "0080cb2a84fa5fcdb3c448a0dc7f38c6a7e55f1261fcec2f0b6d00000000000000000000a2282f81592e007e389fa35ed4a9f5559c2ebf12fa76b54f0316668dcba6d961af1f8467618c02178c74d981",
    "hex",
  ),
  work: 0xa6e78db05939f5b7a956f47bn,
};

/** Litecoin mainnet, 9 December 2022. */
export const LITECOIN_MAINNET: Checkpoint = {
  height: 2_383_207,
  header: Buffer.from(
    "14000020b910892b7ff04a5042990f8cc19aaedc4248d1a50dbf9af2bf0c7020a779347bdfa89ae3be718606fccd063cc6d1e74386c8c6287003deb0f07e3162056aa1ffeb979263d8d3001ad6f60197",
    "hex",
  ),
  work: 0x9cb289a8996086666e0n,
};

/** Dogecoin mainnet, 9 December 2022. An anchor needs no AuxPoW: it is trusted, not proved. */
export const DOGECOIN_MAINNET: Checkpoint = {
  height: 4_505_708,
  header: Buffer.from(
    "0401620076377197634a822607a43699d8202f0fcb233461a14a924f4e28972f12d8ee8a947f94331f20393a4dca0e824f69b14b507bcf0cbfd874f926693b149ea88c1274c992630659021a00000000",
    "hex",
  ),
  work: 0x927f46fea986369a25dn,
};

/**
 * A checkpoint that an operator gives. `headerHex` is the block's 80 bytes. Without `workHex` (the node's `chainwork`) the
 * checkpoint counts as its own block's work: the best chain above it is the same, only the sum has another origin.
 * Throws SPRINT_CHECKPOINT_INVALID. The proof of work is checked where the header alone holds it (SHA-256d chains).
 */
export function checkpointFrom(
  given: { readonly height: number; readonly headerHex: string; readonly workHex?: string },
  params: NetworkParams,
): Checkpoint {
  const { height, headerHex, workHex } = given;
  if (!Number.isSafeInteger(height) || height < 0) invalid("height", "a whole number from 0", height);
  if (!/^[0-9a-f]+$/i.test(headerHex) || headerHex.length !== HEADER_BYTES * 2) {
    invalid("header", `${HEADER_BYTES * 2} hex digits`, `${headerHex.length} characters`);
  }
  if (workHex !== undefined && !/^[0-9a-f]{1,64}$/i.test(workHex))
    invalid("work", "1 to 64 hex digits", workHex.slice(0, 80));

  const header = Buffer.from(headerHex, "hex");
  const bits = header.readUInt32LE(72);
  const target = expandBits(bits);
  if (target === null || target > params.headerRules.powLimit) {
    invalid("bits", "a target within the network's limit", bits.toString(16).padStart(8, "0"));
  }
  const hash = displayHash(sha256d(header));
  if (params.headerRules.powHash === "sha256d" && hash > targetHex(target)) {
    invalid("hash", `at most ${targetHex(target)}`, hash);
  }
  if (height === 0 && hash !== params.genesisHash) invalid("hash", params.genesisHash, hash);
  return { height, header, work: workHex === undefined ? work(bits) : BigInt(`0x${workHex}`) };
}

function invalid(field: string, expected: string, actual: string | number): never {
  throw new SprintError(
    "SPRINT_CHECKPOINT_INVALID",
    `checkpoint ${field}: expected ${expected}, got ${actual}; take it from your node's getblockheader`,
    { field, expected, actual },
  );
}
