import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { CHAINS, type Chain } from "../../../src/shared/chain.ts";
import { decodeCursor, encodeCursor, EventLog, type StreamDraft } from "../../../src/daemon/relay/index.ts";

const RUN = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);

function finalized(height: number): StreamDraft {
  return {
    chain: "bitcoin",
    network: "regtest",
    receivedAt: 0,
    type: "finalized",
    data: { height, hash: "ab".repeat(32) },
  };
}

describe("EventLog", () => {
  it("numbers events from 1 without holes, and gives back what followed", () => {
    const log = new EventLog({ maxEvents: 3 }, { run: RUN });
    assert.deepEqual(log.since(0), []);
    for (let height = 1; height <= 5; height++) assert.equal(log.append(finalized(height)).seq, height);
    const seqs = (seq: number): number[] | undefined => log.since(seq)?.map((event) => event.seq);
    assert.deepEqual([seqs(2), seqs(4), seqs(5)], [[3, 4, 5], [5], []]);
    assert.deepEqual([log.since(1), log.since(6)], [null, null], "forgotten, and never sent");
  });

  it("forgets by bytes too, and counts them right", () => {
    const log = new EventLog({ maxEvents: 1_000, maxBytes: 10_000 }, { run: RUN });
    for (let height = 1; height <= 500; height++) log.append(finalized(height));
    assert.ok(log.size.bytes <= 10_000);
    assert.equal(log.since(500 - log.size.events)?.length, log.size.events);
    assert.equal(log.since(500 - log.size.events - 1), null);
  });

  it("lets no chain spoil the cursors of the others", () => {
    const log = new EventLog({}, { run: RUN });
    const block = (chain: Chain, height: number): StreamDraft => {
      const [hash, parent_hash] = ["ab".repeat(32), "cd".repeat(32)];
      const facts = { timestamp: "", tx_count: null, size_bytes: null, upstream: "a", validation: "header" } as const;
      const data = { hash, height, parent_hash, ...facts };
      return { chain, network: "regtest", receivedAt: 0, type: "block", phase: "announced", data };
    };
    log.append(block("bitcoin", 7));
    log.append(block("ethereum", 8));
    assert.throws(() => log.append(block("ethereum", 2 ** 40)));
    const { seq, cursor } = log.append(block("bitcoin", 8));
    assert.equal(seq, 3);
    const { positions } = decodeCursor(cursor) ?? {};
    assert.deepEqual(
      [positions?.get("bitcoin")?.announced.height, positions?.get("ethereum")?.announced.height],
      [8, 8],
    );
  });
});

describe("cursor", () => {
  const point = fc.record(
    {
      height: fc.integer({ min: 70_000, max: 0xffff_ffff }),
      tail: fc.stringMatching(/^[0-9a-f]{16}$/),
    },
    { noNullPrototype: true },
  );
  const position = fc.record({
    announced: point,
    tail: fc.stringMatching(/^[0-9a-f]{16}$/),
    unproved: fc.nat(0xffff),
    unfinal: fc.nat(0x7fff),
    logsAhead: fc.boolean(),
  });

  it("comes back as it was, in about 90 bytes for three chains", () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[0-9a-f]{16}$/),
        fc.nat(),
        fc.array(position, { maxLength: 3 }),
        (run, seq, list) => {
          const positions = new Map<
            Chain,
            {
              announced: { height: number; tail: string };
              validated: { height: number; tail: string };
              final: number;
              logsAhead: boolean;
            }
          >();
          for (const [index, { announced, tail, unproved, unfinal, logsAhead }] of list.entries()) {
            const validated = unproved === 0 ? announced : { height: announced.height - unproved, tail };
            positions.set(CHAINS[index] as Chain, {
              announced,
              validated,
              final: announced.height - unfinal,
              logsAhead,
            });
          }
          const text = encodeCursor({ run, seq, positions });
          assert.match(text, /^[A-Za-z0-9_-]{23,123}$/);
          assert.deepEqual(decodeCursor(text), { run, seq, positions });
        },
      ),
    );
  });

  it("is told from anything else", () => {
    const text = encodeCursor({ run: "0102030405060708", seq: 77, positions: new Map() });
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.stringMatching(/^[A-Za-z0-9_-]$/), (at, letter) => {
        const other = text.slice(0, at) + letter + text.slice(at + 1);
        if (other !== text) assert.equal(decodeCursor(other), null);
      }),
    );
    let taken = 0;
    fc.assert(
      fc.property(fc.base64String(), (garbage) => {
        if (decodeCursor(garbage) !== null) taken++;
      }),
      { numRuns: 5_000 },
    );
    assert.equal(taken, 0);
  });
});
