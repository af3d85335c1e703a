import test from "node:test";
import assert from "node:assert/strict";
import { textOf } from "../../../src/daemon/cli/frame.ts";
import { News } from "../../../src/daemon/cli/news.ts";
import type { StreamEvent } from "../../../src/daemon/relay/index.ts";

const AT = new Date(2026, 0, 2, 3, 4, 5);
const SIG = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d";

function block(chain: string, height: number, hash: string, phase: "announced" | "validated" = "announced") {
  const counts = phase === "announced" ? { tx_count: null, size_bytes: null } : { tx_count: 1, size_bytes: 177 };
  return { type: "block", chain, phase, data: { height, hash, upstream: `${chain}-1`, ...counts } } as StreamEvent;
}

function texts(news: News, max: number): string[] {
  return news.lines(max).map(textOf);
}

test("a block has one line, which tells how far it is", () => {
  const news = new News();
  news.event(block("solana", 312_456_789, SIG), AT);
  assert.deepEqual(texts(news, 9), [`03:04:05 solana 312456789 …${SIG.slice(-16)} announced by solana-1`]);
  news.event(block("solana", 312_456_789, SIG, "validated"), AT);
  assert.deepEqual(texts(news, 9), [
    `03:04:05 solana 312456789 …${SIG.slice(-16)} 1 transaction, 177 bytes, validated`,
  ]);
  news.event({ type: "finalized", chain: "solana", data: { height: 312_456_789, hash: SIG } } as StreamEvent, AT);
  assert.match(texts(news, 9).join("\n"), /final, 1 transaction, 177 bytes, validated$/);
  assert.equal(texts(news, 9).length, 1);
});

test("a fast chain leaves the others their share, and takes what they do not need", () => {
  const news = new News();
  news.event(block("bitcoin", 7, "aa"), AT);
  for (let slot = 0; slot < 200; slot++) news.event(block("solana", slot, `hash${slot}`), AT);
  news.note("a log line", AT);
  assert.deepEqual(
    texts(news, 3).map((line) => line.split(" ")[1]),
    ["bitcoin", "solana", "a"],
  );
  const many = texts(news, 20);
  assert.equal(many.length, 20);
  assert.match(many[0] ?? "", /^03:04:05 bitcoin {3}7 aa announced/);
  assert.match(many.at(-2) ?? "", /^03:04:05 solana {2}199 hash199 announced/);
});

test("a reorg is told, and each block that it reverts says so", () => {
  const news = new News();
  news.event(block("ethereum", 5, `0x${"ab".repeat(32)}`), AT);
  const reverted = [{ height: 5, hash: `0x${"ab".repeat(32)}` }];
  const data = { depth: 1, common_ancestor: { height: 4, hash: "0x04" }, reverted, applied: [] };
  news.event({ type: "reorg", chain: "ethereum", data } as unknown as StreamEvent, AT);
  assert.deepEqual(texts(news, 9), [
    "03:04:05 ethereum 5 …abababababababab reverted",
    "03:04:05 ethereum reorg of depth 1, back to 4 0x04",
  ]);
});
