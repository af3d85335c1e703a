/** Real blocks in the form in which the fake nodes of these tests hold them. */
import { decodeHeader, paramsFor } from "../../../src/daemon/chain/index.ts";
import type { Chain } from "../../../src/shared/chain.ts";
import { readData } from "../../fakes/data.ts";
import type { FakeBlock } from "../../fakes/rpc-node.ts";

export function fakeBlock(chain: Chain, raw: Uint8Array): FakeBlock {
  const { header, end } = decodeHeader(raw, 0, paramsFor(chain, "mainnet"));
  return { hash: header.hash, header: raw.subarray(0, end), raw };
}

/** The first blocks of Bitcoin's main network, from genesis on; 600 at most. */
export function firstBitcoinBlocks(count: number): FakeBlock[] {
  // Block-file framing: magic 4, length LE 4, block.
  const file = readData("bitcoin/blocks/000000-000599.blk.dat");
  const blocks: FakeBlock[] = [];
  for (let at = 0; blocks.length < count;) {
    const sizeBytes = file.readUInt32LE(at + 4);
    blocks.push(fakeBlock("bitcoin", file.subarray(at + 8, at + 8 + sizeBytes)));
    at += 8 + sizeBytes;
  }
  return blocks;
}
