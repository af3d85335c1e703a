/** Who hears what: logs, pending transactions and watch lists by what they hold, and none of them unasked. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BlockLog } from "../../../src/shared/body.ts";
import type { PendingEntry } from "../../../src/shared/events.ts";
import { filterKey, logsFor, matches } from "../../../src/daemon/relay/filter.ts";
import { PendingListeners } from "../../../src/daemon/relay/pending.ts";
import type { PendingDraft } from "../../../src/daemon/relay/types.ts";
import {
  type Filter,
  GAP,
  type LogFilter,
  type PassingDraft,
  type PendingFilter,
  type StreamDraft,
} from "../../../src/daemon/relay/index.ts";

const OF = { chain: "ethereum", network: "devnet", receivedAt: 0 } as const;
const EVERYTHING: Filter = { chains: null, types: ["log", "pending_tx", "watch", "stats"], phase: null };
const A = `0x${"a".repeat(40)}`;
const B = `0x${"b".repeat(40)}`;
const topic = (digit: string): string => `0x${digit.repeat(64)}`;

function log(address: string, ...topics: string[]): BlockLog {
  return { address, topics, data: "0x", transaction_hash: topic("9"), transaction_index: 0, log_index: 0 };
}

function logs(...entries: BlockLog[]): StreamDraft & { type: "log" } {
  return {
    ...OF,
    type: "log",
    parentHash: "",
    data: { block_hash: topic("1"), height: 5, removed: false, logs: entries },
  };
}

describe("log filters", () => {
  const cases: readonly (readonly [string, LogFilter, readonly boolean[]])[] = [
    ["all", { addresses: [], topics: [] }, [true, true, true, true]],
    ["one address", { addresses: [A], topics: [] }, [true, true, false, true]],
    ["any of two", { addresses: [A, B], topics: [] }, [true, true, true, true]],
    ["first topic", { addresses: [], topics: [[topic("1")]] }, [true, true, true, false]],
    ["any of two first topics", { addresses: [], topics: [[topic("1"), topic("4")]] }, [true, true, true, false]],
    ["second topic, whatever the first", { addresses: [], topics: [null, [topic("2")]] }, [true, false, true, false]],
    ["both", { addresses: [A], topics: [[topic("1")], [topic("2")]] }, [true, false, false, false]],
    ["a position that few have", { addresses: [], topics: [null, null, [topic("3")]] }, [false, false, true, false]],
    [
      "any at a position that need not be there",
      { addresses: [], topics: [null, null, null, null] },
      [true, true, true, true],
    ],
    ["none of an empty choice", { addresses: [], topics: [[]] }, [false, false, false, false]],
  ];
  const entries = [
    log(A, topic("1"), topic("2")),
    log(A, topic("1")),
    log(B, topic("1"), topic("2"), topic("3")),
    log(A),
  ];
  for (const [what, filter, fits] of cases) {
    it(what, () => {
      const whole = { ...EVERYTHING, logs: filter };
      const passed = entries.filter((_, at) => fits[at]);
      assert.deepEqual(logsFor(whole, logs(...entries).data).logs, passed);
      assert.equal(matches(whole, logs(...entries)), passed.length > 0);
      for (const [at, entry] of entries.entries()) assert.equal(matches(whole, logs(entry)), fits[at], `${at}`);
    });
  }
});

describe("filters of pending transactions", () => {
  const evm = (from: string, to: string | null, value_wei: string, selector: string | null): PendingEntry => ({
    txid: topic("5"),
    upstream: "eth-1",
    evm: { from, to, value_wei, selector, nonce: 0, gas_limit: 0, max_fee_wei: "0", max_tip_wei: "0", blobs: 0 },
  });
  const entries = [
    evm(A, B, "1000000000000000000000", "0xa9059cbb"),
    evm(B, null, "0", "0x60806040"),
    evm(B, B, "999999999999999999999", null),
    { txid: topic("6"), upstream: "eth-1" },
  ];
  const cases: readonly (readonly [string, PendingFilter | undefined, readonly boolean[]])[] = [
    ["none", undefined, [true, true, true, true]],
    ["sender or receiver", { addresses: [A], selectors: [], minValue: null }, [true, false, false, false]],
    ["who deploys has no receiver", { addresses: [B], selectors: [], minValue: null }, [true, true, true, false]],
    ["selector", { addresses: [], selectors: ["0x60806040"], minValue: null }, [false, true, false, false]],
    [
      "value above what a number holds",
      { addresses: [], selectors: [], minValue: 10n ** 21n },
      [true, false, false, false],
    ],
    ["all that is given", { addresses: [B], selectors: ["0xa9059cbb"], minValue: 1n }, [true, false, false, false]],
    ["anything known", { addresses: [], selectors: [], minValue: null }, [true, true, true, false]],
  ];
  for (const [what, pending, fits] of cases) {
    it(what, () => {
      const filter: Filter = { ...EVERYTHING, ...(pending === undefined ? {} : { pending }) };
      const event = (transactions: readonly PendingEntry[]): PendingDraft => ({
        ...OF,
        type: "pending_tx",
        data: { transactions },
      });
      const listener = { filter };
      const listeners = new PendingListeners<typeof listener>();
      listeners.add(listener);
      const told = (transactions: readonly PendingEntry[]): readonly PendingEntry[] =>
        listeners.pick(event(transactions)).get(listener) ?? [];
      assert.deepEqual(
        told(entries),
        entries.filter((_, at) => fits[at]),
      );
      for (const [at, entry] of entries.entries()) assert.equal(told([entry]).length, fits[at] ? 1 : 0, `${at}`);
    });
  }
});

describe("types", () => {
  const block = { hash: topic("1"), height: 5 };
  const watch: StreamDraft = {
    ...OF,
    type: "watch",
    data: {
      list: "cold",
      item: A,
      txid: topic("2"),
      output: null,
      kind: "transaction",
      state: "seen",
      confirmations: 0,
      value: "1",
      outpoint: null,
      block: null,
      sequence: 1,
    },
  };
  const pending: PassingDraft = { ...OF, type: "pending_tx", data: { transactions: [] } };
  const final: StreamDraft = { ...OF, type: "finalized", data: block };
  const gap = (reason: string): StreamDraft => ({ ...OF, type: "gap", data: { from: null, to: block, reason } });

  it("that were added later are told to those who name them only", () => {
    const unnamed: Filter = { chains: null, types: null, phase: null };
    assert.deepEqual(
      [final, logs(log(A)), watch, pending].map((event) => matches(unnamed, event)),
      [true, false, false, false],
    );
    assert.deepEqual(
      [final, logs(log(A)), watch].map((event) => matches(EVERYTHING, event)),
      [false, true, true],
    );
  });

  it("watch: of the lists named", () => {
    assert.equal(matches({ ...EVERYTHING, watch: ["hot", "cold"] }, watch), true);
    assert.equal(matches({ ...EVERYTHING, watch: ["hot"] }, watch), false);
    assert.equal(matches({ ...EVERYTHING, watch: [] }, watch), false);
  });

  it("gap: to everybody of the chain, but about logs to those who listen to logs, about bodies not to those who hear no proofs", () => {
    const named = (types: Filter["types"], phase: Filter["phase"] = null): Filter => ({ chains: null, types, phase });
    assert.deepEqual(
      [named(null), named(["log"]), named(["block", "log"]), named(["block"])].map((filter) =>
        matches(filter, gap(GAP.LOGS_UNAVAILABLE)),
      ),
      [false, true, true, false],
    );
    assert.deepEqual(
      [named(null), named(["log"]), named(["block"], "announced"), named(["block"], "validated")].map((filter) =>
        matches(filter, gap(GAP.BODY_UNAVAILABLE)),
      ),
      [true, true, false, true],
    );
    assert.equal(matches(named(["stats"]), gap(GAP.CHAIN_REPLACED)), true);
    assert.equal(matches({ ...named(null), chains: ["solana"] }, gap(GAP.CHAIN_REPLACED)), false);
  });

  it("key: the same for filters that let the same through, another for each other one", () => {
    const base: Filter = { chains: ["ethereum", "base"], types: ["log"], phase: null };
    assert.equal(filterKey(base), filterKey({ ...base, chains: ["base", "ethereum", "base"] }));
    const others: Filter[] = [
      base,
      { ...base, logs: { addresses: [A], topics: [] } },
      { ...base, logs: { addresses: [B], topics: [] } },
      { ...base, logs: { addresses: [A], topics: [[topic("1")]] } },
      { ...base, logs: { addresses: [A], topics: [null, [topic("1")]] } },
      { ...base, logs: { addresses: [A], topics: [], abi: ["event A()"] } },
      { ...base, pending: { addresses: [], selectors: [], minValue: 1n } },
      { ...base, pending: { addresses: [], selectors: [], minValue: null } },
      { ...base, watch: ["cold"] },
    ];
    assert.equal(new Set(others.map(filterKey)).size, others.length);
  });
});
