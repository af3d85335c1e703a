/** What children of the fan-out are told: what somebody there listens to. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";
import type { Filter, StreamEvent } from "../../../src/daemon/relay/index.ts";
import { Fanout } from "../../../src/daemon/server/fanout.ts";
import { checkHandshake } from "../../../src/daemon/server/handshake.ts";
import { SOCKET_LIMITS } from "../../../src/daemon/server/options.ts";
import { systemClock } from "../../../src/shared/clock.ts";
import type { SprintEvent } from "../../../src/shared/events.ts";
import { subscribe } from "../../fakes/subscriber.ts";

const EVM = {
  from: "0x1",
  to: "0x2",
  nonce: 1,
  gas_limit: 1,
  max_fee_wei: "1",
  max_tip_wei: "1",
  selector: null,
  blobs: 0,
};

/** An event that counts how often it was copied into the channel. */
function pending(value_wei: string, copied: { times: number }): StreamEvent {
  const data = {
    get transactions() {
      copied.times++;
      return [{ txid: `tx${value_wei}`, upstream: "a", evm: { ...EVM, value_wei } }];
    },
  };
  return { chain: "ethereum", network: "m", receivedAt: 0, type: "pending_tx", data, seq: 1, cursor: "c" };
}

test("an event that nobody there named does not go through the channel; numbers of a filter do", async () => {
  let tell: (event: StreamEvent) => void = () => {};
  const fanout = new Fanout(
    { threshold: 0, processes: 1, maxPendingEvents: 100 },
    {
      clock: systemClock,
      hub: {},
      sockets: SOCKET_LIMITS,
      server: {
        onEvent(listener) {
          tell = listener;
          return () => {};
        },
        onFault: (error) => assert.fail(String(error)),
        onRelayed: () => {},
        onDrop: () => {},
      },
    },
  );
  const filters: Filter[] = [
    { chains: null, types: null, phase: null },
    {
      chains: null,
      types: ["pending_tx"],
      phase: null,
      pending: { addresses: [], selectors: [], minValue: 10n ** 30n },
    },
  ];
  let seats = 0;
  const left: (() => void)[] = [];
  const server = createServer().on("upgrade", (request, socket, head) => {
    const filter = filters[seats] ?? assert.fail();
    const hello = {
      type: "hello",
      cursor: "c",
      data: { tier: "FREE", network: "m", recovered: true, version: "1" },
    } as const;
    const seat = {
      id: `s${seats++}`,
      tier: "ENTERPRISE",
      filter,
      handshake: checkHandshake(request),
      opening: { hello, backlog: [] },
    } as const;
    assert.ok(fanout.seat(seat, socket as Socket, head, () => left.shift()?.()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const copied = { times: 0 };
  const isPending = (event: SprintEvent): boolean => event.type === "pending_tx";

  const first = await subscribe(url);
  tell(pending("1", copied));
  await new Promise<void>((resolve) => setImmediate(resolve));
  assert.equal(copied.times, 0);

  const second = await subscribe(url);
  await second.next(({ type }) => type === "hello");
  tell(pending("1", copied));
  tell(pending(`${10n ** 31n}`, copied));
  const told = await second.next(isPending);
  assert.deepEqual(told.type === "pending_tx" && told.data.transactions.map(({ txid }) => txid), [`tx${10n ** 31n}`]);
  assert.equal(copied.times, 2);

  const gone = new Promise<void>((resolve) => left.push(resolve));
  await second.close();
  await gone;
  tell(pending("2", copied));
  await new Promise<void>((resolve) => setImmediate(resolve));
  assert.equal(copied.times, 2);

  await first.close();
  await fanout.close();
  server.close();
});
