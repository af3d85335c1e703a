import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type EvmCodec, evmCodecFor } from "../../../../src/daemon/chain/evm/codec.ts";
import { type EvmHeader, evmHeaderFromJson } from "../../../../src/daemon/chain/evm/header.ts";
import { evmNetworksOf, evmParamsFor, evmRulesAt } from "../../../../src/daemon/chain/evm/params.ts";
import type { Ancestor, BodyFacts, BodyPlace } from "../../../../src/daemon/chain/types.ts";
import { EVM_CHAINS } from "../../../../src/shared/chain.ts";
import { hasData, readData } from "../../../fakes/data.ts";
import { evmSamples } from "../../../fakes/evm.ts";

type Json = Record<string, unknown>;

const skip = !hasData && "no chain data";
const ethereum = evmCodecFor(evmParamsFor("ethereum", "mainnet"));
const ANYWHERE: BodyPlace = { height: null, hash: null };

function json(name: string): Json {
  return JSON.parse(readData(`ethereum/rpc/${name}.json`).toString()) as Json;
}

function body(block: unknown, receipts: unknown): Buffer {
  return Buffer.from(JSON.stringify({ block, receipts }));
}

/** The code of the refusal and whether it says `mutated`, or the facts. */
function judge(
  raw: Uint8Array,
  place: BodyPlace = ANYWHERE,
  codec: EvmCodec = ethereum,
): [string, unknown] | BodyFacts {
  const verdict = codec.checkBody(raw, place, null);
  return verdict.ok ? verdict.facts : [verdict.refusal.code, verdict.refusal.data["mutated"] ?? false];
}

function ancestor(codec: EvmCodec, header: EvmHeader): Ancestor {
  return { block: codec.toBlock(header, header.number, null), parent: null };
}

describe("networks", () => {
  it("each has its chain id, its genesis and its pace", () => {
    for (const chain of EVM_CHAINS) assert.equal(evmNetworksOf(chain)[0]?.network, "mainnet");
    const all = EVM_CHAINS.flatMap(evmNetworksOf);
    assert.equal(new Set(all.map(({ chainId }) => chainId)).size, all.length);
    assert.equal(new Set(all.map(({ genesisHash }) => genesisHash)).size, all.length);
    assert.deepEqual(evmNetworksOf("litecoin"), []);
    assert.deepEqual(
      evmNetworksOf("ethereum").map(({ network }) => network),
      ["mainnet", "sepolia", "holesky", "hoodi", "devnet"],
    );
  });

  it("the forks of each came at the start of one of its slots", () => {
    for (const { network, slots, forks } of EVM_CHAINS.flatMap(evmNetworksOf)) {
      if (slots === null) continue;
      for (const { name, from } of forks) {
        // from genesis on
        if (!("time" in from) || from.time === 0) continue;
        assert.equal((from.time - slots.genesisTime) % slots.seconds, 0, `${network} ${name}`);
      }
    }
  });

  it("a development network's fork follows from the fields of a header", () => {
    const fork = (fields?: number): string => evmRulesAt(evmParamsFor("ethereum", "devnet"), 5, 0, fields).fork;
    assert.deepEqual([16, 17, 20, 21].map(fork), ["Paris", "Shanghai", "Cancun", "Prague"]);
    assert.equal(fork(), "Prague");
  });
});

describe("headers", { skip }, () => {
  const parent = (): EvmHeader => evmHeaderFromJson(json("1755634.block"));
  const header = (): EvmHeader => evmHeaderFromJson(json("1755635.block"));

  it("one becomes a frozen block that holds all of it", () => {
    const read = header();
    assert.equal(read.height, 1_755_635);
    assert.equal(read.locator, read.hash);
    const block = ethereum.toBlock(read, read.number, null);
    assert.ok(Object.isFrozen(block) && Object.isFrozen(block.detail));
    assert.deepEqual([block.hash, block.locator, block.txCount], [read.hash, read.hash, null]);
    const { family, ...detail } = block.detail as unknown as Json;
    assert.equal(family, "evm");
    for (const [name, value] of Object.entries(detail)) assert.equal(value, read[name as keyof EvmHeader], name);
    const facts: BodyFacts = { txCount: 3, sizeBytes: 700, level: "full" };
    assert.deepEqual(ethereum.withFacts(block, facts), { ...block, txCount: 3, sizeBytes: 700 });
  });

  it("the hash is that of its bytes", () => {
    assert.equal(ethereum.checkHeader(header()), null);
    const other = { ...header(), hash: parent().hash };
    assert.equal((ethereum.checkHeader(other) as { code: string }).code, "SPRINT_EVM_HEADER_HASH");
  });

  it("what is kept of a parent is enough for the rules by it", () => {
    const now = header().timestamp;
    assert.equal(ethereum.checkContext(header(), ancestor(ethereum, parent()), now), null);
    const code = (change: Partial<EvmHeader>, at = now): string | undefined =>
      ethereum.checkContext({ ...header(), ...change }, ancestor(ethereum, parent()), at)?.code;
    assert.equal(code({ parentHash: header().hash }), "SPRINT_EVM_PARENT");
    assert.equal(code({ number: 1_755_636 }), "SPRINT_EVM_NUMBER");
    assert.equal(code({ difficulty: header().difficulty + 1n }), "SPRINT_EVM_DIFFICULTY");
    assert.equal(code({ gasLimit: header().gasLimit * 2n }), "SPRINT_EVM_GAS_LIMIT");
    assert.equal(code({}, now - 16), "SPRINT_EVM_TIME_TOO_NEW");
  });
});

describe("bodies", { skip }, () => {
  const block = (): Json => json("17300000.block");
  const receipts = (): Json[] => json("17300000.receipts") as unknown as Json[];

  it("every block of the data that came with its receipts is proved whole", () => {
    let proved = 0;
    for (const sample of evmSamples()) {
      if (!sample.name.endsWith(".json") || sample.receipts === null) continue;
      const codec = evmCodecFor(evmParamsFor(sample.chain, "mainnet"));
      const raw = `{"block":${Buffer.from(sample.bytes).toString()},"receipts":${Buffer.from(sample.receipts).toString()}}`;
      const verdict = codec.checkBody(Buffer.from(raw), { height: sample.height, hash: null }, null);
      assert.ok(verdict.ok, `${sample.name}: ${verdict.ok ? "" : verdict.refusal.message}`);
      const said = JSON.parse(Buffer.from(sample.bytes).toString()) as { transactions: unknown[] };
      assert.equal(verdict.facts.txCount, said.transactions.length, sample.name);
      proved++;
    }
    assert.ok(proved >= 20, `${proved}`);
  });

  it("RLP without receipts is proved as far as it goes", () => {
    const facts = judge(readData("ethereum/rlp/17034870.block.rlp"), { height: 17_034_870, hash: null }) as BodyFacts;
    assert.equal(facts.level, "full");
    assert.deepEqual(facts.skipped, ["receipts, as they are not here"]);
    const longer = Buffer.concat([readData("ethereum/rlp/17034870.block.rlp"), Buffer.alloc(1)]);
    assert.deepEqual(judge(longer), ["SPRINT_EVM_BLOCK_FIELDS", true]);
  });

  it("receipts that are null are told as skipped", () => {
    const facts = judge(body(block(), null)) as BodyFacts;
    assert.deepEqual([facts.level, facts.skipped], ["full", ["receipts, as they are not here"]]);
  });

  it("another block than the one asked for stains its sender only", () => {
    const hash = String(json("18000000.block")["hash"]);
    assert.deepEqual(judge(body(block(), null), { height: null, hash }), ["SPRINT_BODY_HASH", true]);
    assert.deepEqual(judge(body(block(), null), { height: 1, hash: null }), ["SPRINT_BODY_HEIGHT", true]);
    assert.deepEqual(judge(body(null, null)), ["SPRINT_EVM_JSON_NULL", true]);
    assert.deepEqual(judge(Buffer.from("{")), ["SPRINT_EVM_JSON_SYNTAX", true]);
    assert.deepEqual(judge(Buffer.alloc(64 * 1024 * 1024 + 1, "[")), ["SPRINT_EVM_JSON_SIZE", true]);
    assert.deepEqual(judge(Buffer.alloc(0)), ["SPRINT_EVM_JSON_SYNTAX", true]);
    assert.deepEqual(judge(Buffer.of(0xc0)), ["SPRINT_EVM_BLOCK_FIELDS", true]);
  });

  it("what the header does not commit to may be right elsewhere", () => {
    const transactions = block()["transactions"] as Json[];
    const fewer = { ...block(), transactions: transactions.slice(0, -1) };
    assert.deepEqual(judge(body(fewer, null)), ["SPRINT_EVM_TRANSACTIONS_ROOT", true]);
    assert.deepEqual(judge(body(block(), receipts().slice(1))), ["SPRINT_EVM_RECEIPT_COUNT", true]);
    assert.deepEqual(judge(body({ ...block(), withdrawals: [] }, null)), ["SPRINT_EVM_WITHDRAWALS_ROOT", true]);
    const failed = receipts().map((receipt, i) => (i === 3 ? { ...receipt, status: "0x0" } : receipt));
    assert.deepEqual(judge(body(block(), failed)), ["SPRINT_EVM_RECEIPTS_ROOT", true]);
  });

  it("what its own roots prove is the block's fault", () => {
    const other = evmCodecFor({ ...evmParamsFor("ethereum", "mainnet"), chainId: 2n });
    assert.deepEqual(judge(body(block(), null), ANYWHERE, other), ["SPRINT_EVM_TX_CHAIN_ID", false]);
  });
});
