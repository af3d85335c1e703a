/** Who is told of which pending transactions: found by what filters name, and no other than holding every one against every one. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { PendingEntry } from "../../../src/shared/events.ts";
import { pendingMatches } from "../../../src/daemon/relay/filter.ts";
import { PendingListeners } from "../../../src/daemon/relay/pending.ts";
import type { Filter, PendingDraft } from "../../../src/daemon/relay/types.ts";

const ADDRESSES = ["0xa", "0xb", "0xc", "0xd"];
const SELECTORS = ["0x01", "0x02", "0x03"];

const evm = fc.record({
  from: fc.constantFrom(...ADDRESSES),
  to: fc.constantFrom(...ADDRESSES, null),
  value_wei: fc.bigInt(0n, 4n).map(String),
  selector: fc.constantFrom(...SELECTORS, null),
});
const transactions = fc.array(fc.option(evm, { nil: undefined }), { maxLength: 12 }).map((all) =>
  all.map((fields, i): PendingEntry => {
    const of = { txid: `0x${i}`, upstream: "eth-1" };
    const rest = { nonce: 0, gas_limit: 1, max_fee_wei: "1", max_tip_wei: "1", blobs: 0 };
    return fields === undefined ? of : { ...of, evm: { ...fields, ...rest } };
  }),
);
const filters: fc.Arbitrary<Filter> = fc.record(
  {
    chains: fc.constantFrom(null, ["ethereum"], ["bitcoin"], ["bitcoin", "ethereum"]),
    types: fc.constantFrom(null, ["block"] as const, ["pending_tx"] as const, ["block", "pending_tx"] as const),
    phase: fc.constant(null),
    pending: fc.record({
      addresses: fc.array(fc.constantFrom(...ADDRESSES), { maxLength: 3 }),
      selectors: fc.array(fc.constantFrom(...SELECTORS), { maxLength: 2 }),
      minValue: fc.option(fc.bigInt(0n, 4n)),
    }),
  },
  { requiredKeys: ["chains", "types", "phase"] },
);

describe("PendingListeners", () => {
  it("finds whom holding every filter against every transaction finds", () => {
    const cases = fc.array(fc.tuple(filters, fc.boolean()), { maxLength: 10 });
    fc.assert(
      fc.property(cases, transactions, (given, entries) => {
        const listeners = new PendingListeners<{ readonly filter: Filter }>();
        const all = given.map(([filter, stays]) => ({ filter, stays }));
        for (const listener of all) listeners.add(listener);
        for (const listener of all) if (!listener.stays) listeners.remove(listener);
        const event: PendingDraft = {
          chain: "ethereum",
          network: "mainnet",
          receivedAt: 0,
          type: "pending_tx",
          data: { transactions: entries },
        };
        const picked = listeners.pick(event);
        for (const listener of all) {
          const { chains, types, pending } = listener.filter;
          const hears = listener.stays && types?.includes("pending_tx") === true;
          const isOurs = chains === null || chains.includes("ethereum");
          const expected = entries.filter(
            (entry) => hears && isOurs && (pending === undefined || pendingMatches(entry, pending)),
          );
          assert.deepEqual(picked.get(listener) ?? [], expected);
        }
      }),
    );
  });

  it("hands on the event's own list to who takes all", () => {
    const listeners = new PendingListeners<{ readonly filter: Filter }>();
    const listener = { filter: { chains: null, types: ["pending_tx"], phase: null } satisfies Filter };
    listeners.add(listener);
    const entries = [{ txid: "0x1", upstream: "eth-1" }];
    const of = { chain: "ethereum", network: "mainnet", receivedAt: 0, type: "pending_tx" } as const;
    assert.equal(listeners.pick({ ...of, data: { transactions: entries } }).get(listener), entries);
    assert.equal(listeners.pick({ ...of, data: { transactions: [] } }).size, 0);
  });
});
