import assert from "node:assert/strict";
import { test } from "node:test";
import { checkEvmBlock, evmBlockFromRlp, evmReceiptsFromRlp } from "../../../../src/daemon/chain/evm/block.ts";
import { checkEthash, EthashCache } from "../../../../src/daemon/chain/evm/ethash.ts";
import type { EvmHeader } from "../../../../src/daemon/chain/evm/header.ts";
import { evmParamsFor } from "../../../../src/daemon/chain/evm/params.ts";
import { checkEvmContext } from "../../../../src/daemon/chain/evm/rules.ts";
import { hasData, readData } from "../../../fakes/data.ts";
import { ERA1, era1Blocks } from "../../../fakes/evm.ts";
import { readEra1 } from "../../../fakes/era1.ts";

/** Of how many blocks one has its work verified: six milliseconds each. */
const WORK_EVERY = 256;

test("the first 8,192 blocks of Ethereum, each on its parent", { skip: !hasData && "no chain data" }, () => {
  const params = evmParamsFor("ethereum", "mainnet");
  const records = [...readEra1(readData(ERA1))];
  const blocks = era1Blocks();
  const cache = new EthashCache(0);
  let parent: EvmHeader | null = null;
  let difficulty = 0n;
  let ommers = 0;
  blocks.forEach((bytes, number) => {
    const record = records[number] as (typeof records)[number];
    const { block } = evmBlockFromRlp(bytes);
    const verdict = checkEvmBlock(block, evmReceiptsFromRlp(record.receipts), params);
    assert.ok(verdict.ok, verdict.ok ? "" : `${number}: ${verdict.refusal.message}`);
    assert.deepEqual(verdict.facts.skipped, []);
    assert.equal(block.header.number, number);
    if (parent !== null) assert.equal(checkEvmContext(block.header, parent, params), null);
    if (number % WORK_EVERY === 1) assert.equal(checkEthash(block.header, cache), null);
    parent = block.header;
    difficulty += block.header.difficulty;
    ommers += block.ommers.count;
    assert.equal(difficulty, record.totalDifficulty);
  });
  assert.equal(blocks.length, 8192);
  assert.equal(ommers, 1410);
  const header = parent as EvmHeader | null;
  assert.ok(header !== null);
  assert.equal(checkEthash({ ...header, nonce: "0x0000000000000000" }, cache)?.code, "SPRINT_EVM_WORK_MIX");
  assert.equal(checkEthash({ ...header, difficulty: 1n << 120n }, cache)?.code, "SPRINT_EVM_WORK");
});
