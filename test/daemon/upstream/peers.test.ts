import assert from "node:assert/strict";
import { type TestContext, describe, test } from "node:test";
import { seededRandom, systemClock } from "../../../src/shared/clock.ts";
import { codecFor, type NetworkParams, paramsFor } from "../../../src/daemon/chain/index.ts";
import { PeerSet, type PeerSetModules, type PeerSetOptions } from "../../../src/daemon/upstream/index.ts";
import { AddressBook, BOOK_DEFAULTS, groupOf } from "../../../src/daemon/upstream/p2p-book.ts";
import { encodeAddresses, encodeAddressesV2 } from "../../../src/daemon/wire/index.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { type FakePeer, startPeer } from "../../fakes/peer.ts";

const MINUTE = 60_000;

describe("address book", () => {
  function book(options: Partial<typeof BOOK_DEFAULTS> = {}) {
    const clock = new FakeClock();
    return { clock, book: new AddressBook({ ...BOOK_DEFAULTS, ...options }, { clock, random: seededRandom(1) }) };
  }
  const nobody: ReadonlySet<string> = new Set();
  const place = (host: string, port = 8_333) => ({ host, port });

  test("takes what is on the open Internet only", () => {
    const { book: open } = book();
    const inside = [
      "127.0.0.1",
      "10.0.0.1",
      "192.168.1.1",
      "172.20.0.1",
      "169.254.169.254",
      "100.64.1.1",
      "0.0.0.0",
      "224.0.0.1",
      "255.255.255.255",
      "::1",
      "::ffff:10.0.0.1",
      "fd00::1",
      "fe80:0:0:0:1:2:3:4",
      "ff02::1",
      "2002:a00:1::1",
    ];
    for (const host of inside) assert.equal(open.add(place(host), "s"), false, host);
    assert.equal(open.add(place("not an address"), "s"), false);
    assert.equal(open.add(place("93.184.1.1", 22), "s"), false, "a port of other services");
    assert.equal(open.add(place("93.184.1.1"), "s"), true);
    assert.equal(open.add(place("93.184.1.1"), "s"), false, "known");
    assert.equal(open.add(place("2a01:4f8:1:2:3:4:5:6"), "s"), true);
    assert.equal(book({ acceptPrivate: true }).book.add(place("127.0.0.1"), "s"), true);
  });

  test("one network range and one source can take their share and no more", () => {
    const { book: full } = book({ maxPerGroup: 3, maxPerSource: 5, maxEntries: 8 });
    const added = (source: string, hosts: readonly string[]) =>
      hosts.filter((host) => full.add(place(host), source)).length;
    assert.equal(added("a", ["93.1.0.1", "93.1.0.2", "93.1.9.3", "93.1.7.4"]), 3);
    assert.equal(added("a", ["94.1.0.1", "95.1.0.1", "96.1.0.1"]), 2);
    assert.equal(added("b", ["101.1.0.1", "102.1.0.1", "103.1.0.1", "104.1.0.1", "105.1.0.1"]), 5);
    assert.equal(full.size, 8, "the whole is bounded: newer ones take the place of others");
  });

  test("failures wait longer each time and are forgotten in the end", () => {
    const { book: some, clock } = book();
    some.add(place("93.1.0.1"), "s");
    for (let failures = 1; failures < 5; failures++) {
      const picked = some.pick(nobody);
      assert.ok(picked);
      some.failed(picked);
      clock.advance(10 * MINUTE * 2 ** (failures - 1) - 1);
      assert.equal(some.pick(nobody), null);
      clock.advance(1);
    }
    some.failed(place("93.1.0.1"));
    assert.equal(some.size, 0);
  });

  test("a banned host is out on every port until its time is over", () => {
    const { book: some, clock } = book();
    some.add(place("93.1.0.1"), "s");
    some.add(place("93.1.0.1", 9_999), "s");
    some.ban("93.1.0.1", 1_000);
    assert.equal(some.size, 0);
    assert.equal(some.add(place("93.1.0.1", 8_334), "s"), false);
    clock.advance(1_000);
    assert.equal(some.add(place("93.1.0.1", 8_334), "s"), true);
  });

  test("what is in use rules out its whole range", () => {
    const { book: some } = book();
    some.add(place("93.1.0.1"), "s");
    some.add(place("94.1.0.1"), "s");
    assert.equal(some.pick(new Set([groupOf("93.1.200.7")]))?.host, "94.1.0.1");
    assert.equal(groupOf("2a01:4f8::1"), groupOf("2a01:04f8:9:8:7:6:5:4"));
    assert.notEqual(groupOf("2a01:4f8::1"), groupOf("2a01:4f9::1"));
  });
});

/** A network of fake nodes on loopback, and a set that joins it. */
async function setUp(
  t: TestContext,
  nodes: number,
  options: PeerSetOptions = {},
  modules: Partial<PeerSetModules> = {},
) {
  const regtest = paramsFor("litecoin", "regtest");
  const peers: FakePeer[] = [];
  for (let i = 0; i < nodes; i++) peers.push(await startPeer(regtest.magic));
  const params: NetworkParams = { ...regtest, dnsSeeds: ["seed.test"], p2pPort: peers[0]?.port ?? 1_024 };
  const states: string[] = [];
  const waits: { readonly what: string; readonly resolve: () => void }[] = [];
  const set = new PeerSet(
    { peers: 2, book: { acceptPrivate: true }, ...options },
    {
      codec: { ...codecFor(regtest), params },
      sink: { up() {}, announce() {}, down() {} },
      clock: systemClock,
      random: seededRandom(3),
      resolve: () => Promise.resolve(["127.0.0.1"]),
      onState: (feed, state) => {
        states.push(`${feed.name} ${state}`);
        for (const wait of waits) if (wait.what === `${feed.name} ${state}`) wait.resolve();
      },
      ...modules,
    },
  );
  t.after(async () => {
    await set.close();
    for (const peer of peers) await peer.close();
  });
  const heard = (what: string) => new Promise<void>((resolve) => waits.push({ what, resolve }));
  return { set, peers, states, heard };
}

const address = (port: number) => ({ time: 1, services: 9n, network: "ipv4" as const, host: "127.0.0.1", port });

test("from a DNS seed to the first peer, and by its gossip to the next", async (t) => {
  for (const encode of [encodeAddresses, encodeAddressesV2]) {
    const { set, peers, heard } = await setUp(t, 2);
    const [first, second] = peers;
    assert.ok(first && second);
    const up = heard("peer-1 up");
    set.start();
    const node = await first.shakeHands();
    await up;
    await node.next("getaddr");
    node.send(encode === encodeAddresses ? "addr" : "addrv2", encode([address(second.port)]));
    const secondUp = heard("peer-2 up");
    await second.shakeHands();
    await secondUp;
    assert.deepEqual(
      set.status().peers.map(({ name, port, state }) => [name, port, state]),
      [
        ["peer-1", first.port, "up"],
        ["peer-2", second.port, "up"],
      ],
    );
    assert.equal(set.feeds().length, 2);
  }
});

test("a peer that is lost gives its seat to another address", async (t) => {
  const { set, peers, heard } = await setUp(t, 2, { peers: 1 });
  const [first, second] = peers;
  assert.ok(first && second);
  set.start();
  const up = heard("peer-1 up");
  const node = await first.shakeHands();
  await up;
  set.addAddress({ host: "127.0.0.1", port: second.port });
  node.socket.destroy();
  const again = heard("peer-1 up");
  await second.shakeHands();
  await again;
  assert.deepEqual(
    set.status().peers.map(({ port }) => port),
    [second.port],
  );
});

test("a peer that is cordoned is banned and its seat given on", async (t) => {
  const { set, peers, heard, states } = await setUp(t, 1, { peers: 1 });
  const [first] = peers;
  assert.ok(first);
  set.start();
  const up = heard("peer-1 up");
  const node = await first.shakeHands();
  await up;
  set.feeds()[0]?.cordon("sent a header without work", 1_000);
  await node.closed;
  assert.deepEqual([set.feeds(), set.status().knownAddresses], [[], 0]);
  set.addAddress({ host: "127.0.0.1", port: first.port });
  assert.equal(set.status().knownAddresses, 0, "and does not come back by gossip");
  assert.deepEqual(states.slice(-2), ["peer-1 cordoned", "peer-1 closed"]);
});

test("the peer with the lowest score makes room, never the best, and only for somebody else", async (t) => {
  const clock = new FakeClock();
  const { set, peers, heard } = await setUp(t, 3, { replaceEveryMs: 20_000 }, { clock });
  const [first, second, third] = peers;
  assert.ok(first && second && third);
  const bothUp = [heard("peer-1 up"), heard("peer-2 up")];
  set.addAddress({ host: "127.0.0.1", port: first.port });
  set.addAddress({ host: "127.0.0.1", port: second.port });
  set.start();
  const [one] = await Promise.all([first.shakeHands(), second.shakeHands()]);
  await Promise.all(bothUp);
  const nameOf = (peer: FakePeer) => set.status().peers.find(({ port }) => port === peer.port)?.name ?? "none";
  const worst = nameOf(first);
  set.scored(nameOf(second), 5);
  set.scored("nobody", 50);

  clock.advance(20_000);
  assert.deepEqual([nameOf(first), nameOf(second)].includes("none"), false, "nobody else to take the seat");
  assert.equal(set.status().peers.find(({ port }) => port === second.port)?.score, 2.5, "old merit fades");

  set.addAddress({ host: "127.0.0.1", port: third.port });
  const replaced = heard(`${worst} up`);
  clock.advance(20_000);
  await one.closed;
  await third.shakeHands();
  await replaced;
  assert.deepEqual([nameOf(first), nameOf(third)], ["none", worst]);
});

test("while nobody can be reached, it tries on at a bounded pace and asks the seeds now and then", async (t) => {
  const clock = new FakeClock();
  let asked = 0;
  const failed: string[] = [];
  const { set } = await setUp(
    t,
    0,
    {},
    {
      clock,
      resolve: () => {
        asked++;
        return Promise.reject(new Error("no name servers"));
      },
      onSeedFailed: (seed) => failed.push(seed),
    },
  );
  set.start();
  await clock.advanceAsync(10 * MINUTE);
  assert.ok(asked >= 9 && asked <= 11, `asked ${asked} times`);
  assert.equal(failed.length, asked);
  assert.equal(failed[0], "seed.test");
  await set.close();
  assert.equal(clock.pending, 0);
});
