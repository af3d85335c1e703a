/** What spreading deliveries does to the peak: how many of a tier's clients wake in the same millisecond. Virtual time, real hub. */
import { EventLog, Hub, type Subscriber } from "../../src/daemon/relay/index.ts";
import { TIER, type Tier } from "../../src/shared/tier.ts";
import { FakeClock } from "../fakes/clock.ts";

/** The fullest millisecond of `blocks` blocks to `clients` clients, paced as the tier is, or not at all. */
export function pacingPeak(
  tier: Tier,
  isPaced: boolean,
  { clients, blocks }: { readonly clients: number; readonly blocks: number },
): number {
  const clock = new FakeClock();
  const tiers = isPaced ? TIER : { ...TIER, [tier]: { ...TIER[tier], pacingMs: null } };
  const entropy = crypto.getRandomValues(new Uint8Array(32));
  const hub = new Hub({ tiers }, { clock, entropy, defer: (fn) => fn() });
  const log = new EventLog({}, { run: new Uint8Array(8) });
  let perMs = new Map<number, number>();
  for (let i = 0; i < clients; i++) {
    const subscriber: Subscriber = {
      id: String(i),
      tier,
      filter: { chains: null, types: null, phase: null },
      write() {
        const at = Math.floor(clock.now());
        perMs.set(at, (perMs.get(at) ?? 0) + 1);
      },
      bufferedBytes: () => 0,
      close: () => {},
    };
    const data = { tier, network: "regtest", recovered: false, version: "" };
    hub.add(subscriber, { hello: { type: "hello", cursor: "", data }, backlog: [] });
  }
  let peak = 0;
  for (let height = 1; height <= blocks; height++) {
    perMs = new Map();
    hub.publish(
      log.append({
        type: "block",
        phase: "announced",
        chain: "bitcoin",
        network: "regtest",
        receivedAt: clock.now(),
        data: {
          hash: height.toString(16).padStart(64, "0"),
          height,
          parent_hash: (height - 1).toString(16).padStart(64, "0"),
          timestamp: "2025-09-05T18:55:07Z",
          tx_count: null,
          size_bytes: null,
          upstream: "btc-1",
          validation: "header",
        },
      }),
    );
    clock.advance(200);
    peak = Math.max(peak, ...perMs.values());
  }
  return peak;
}
