/** Upstreams that do anything at any time: what is told stays one chain, each thing once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { BodyVerdict, Header } from "../../../src/daemon/chain/index.ts";
import type { StreamDraft } from "../../../src/daemon/relay/index.ts";
import type { BodyReading } from "../../../src/shared/body.ts";
import { type Random, seededRandom } from "../../../src/shared/clock.ts";
import { HeadsJourney, ROOT, header } from "./headsjourney.ts";
import type { FakeFeed } from "./journey.ts";

const LOG = { address: "0x1", topics: [], data: "0x", transaction_hash: "0x", transaction_index: 0, log_index: 0 };
const READING = { logs: [LOG], movements: [], digest: null } as unknown as BodyReading;

/** What a client makes of the stream; throws where that is no chain. */
class Client {
  readonly chain: { readonly hash: string; readonly height: number; logs: boolean; proved: boolean }[] = [];
  proved = 0;
  final = 0;

  take(event: StreamDraft): void {
    const top = this.chain.at(-1);
    switch (event.type) {
      case "block": {
        const { hash, height, parent_hash } = event.data;
        if (event.phase === "validated") {
          const next = this.chain[this.proved++];
          assert.deepEqual(
            [next?.hash, next?.logs, next?.proved],
            [hash, true, false],
            "proofs in order, behind their logs",
          );
          if (next !== undefined) next.proved = true;
          return;
        }
        if (top !== undefined) assert.deepEqual([parent_hash, height], [top.hash, top.height + 1], "on the one before");
        this.chain.push({ hash, height, logs: false, proved: false });
        return;
      }
      case "log": {
        const block = this.chain.find(({ hash }) => hash === event.data.block_hash);
        assert.equal(block?.logs, event.data.removed, "logs once, and taken back once");
        if (block !== undefined) block.logs = !event.data.removed;
        return;
      }
      case "reorg":
        for (const { hash } of event.data.reverted) {
          const gone = this.chain.pop();
          // What was there before the stream began was never told.
          if (gone === undefined) break;
          assert.deepEqual([gone.hash, gone.logs], [hash, false], "newest first, without their logs");
          assert.ok(gone.height > this.final, "what is final stays");
        }
        if (this.chain.length > 0) assert.equal(this.chain.at(-1)?.hash, event.data.common_ancestor.hash);
        this.proved = Math.min(this.proved, this.chain.length);
        return;
      case "finalized":
        assert.ok(event.data.height > this.final, "never back");
        this.final = event.data.height;
        // The tree's root is final whatever comes.
        if (this.final > 100) assert.equal(this.chain.find(({ height }) => height === this.final)?.proved, true);
        return;
      case "gap": {
        assert.equal(event.data.reason, "body_unavailable");
        const block = this.chain[this.proved++];
        assert.equal(block?.hash, event.data.to?.hash);
        if (block !== undefined) block.proved = true;
        return;
      }
      default:
        assert.fail(event.type);
    }
  }
}

/** A node of which the chain may be any. */
class Node {
  readonly feed: FakeFeed;
  chain: Header[] = [ROOT];
  up = true;

  constructor(feed: FakeFeed) {
    this.feed = feed;
    feed.answer = async (locator) => {
      const at = this.chain.findIndex(
        ({ hash }) => hash === locator.find((each) => this.chain.some((own) => own.hash === each)),
      );
      return this.chain.slice(at + 1) as never;
    };
  }
}

/** `unrooted`: also where the chain begins is for them to say. */
async function storm(seed: number, steps: number, unrooted = false): Promise<string> {
  const random = seededRandom(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const journey = new HeadsJourney({
    bodyGiveUpMs: 20_000,
    unrooted,
    sources: 3,
    ingest: { tellsLogs: true, maxSideNodes: 30 },
    check: async (raw): Promise<BodyVerdict> => {
      for (let turn = 0; turn < (raw[0] ?? 0); turn++) await Promise.resolve();
      const [, kind] = raw;
      if (kind === 0) return { ok: true, facts: { txCount: 1, sizeBytes: 9, level: "full", reading: READING } };
      const refusal = { code: "SPRINT_BAD", message: "bad", data: kind === 1 ? { mutated: true } : {} } as const;
      return { ok: false, refusal };
    },
  });
  const client = new Client();
  let taken = 0;
  const look = (): void => {
    for (; taken < journey.events.length; taken++) client.take(journey.events[taken] as StreamDraft);
  };
  const nodes: Node[] = [];
  for (const name of ["a", "b", "c"]) nodes.push(new Node(await journey.feed(name)));
  const known = new Map<string, Header[]>([["root", [ROOT]]]);
  for (let step = 0; step < steps; step++) {
    act(journey, pick(nodes), known, nodes, random, step);
    if (random() < 0.3) await journey.clock.advanceAsync(Math.floor(random() * 4_000));
    if (random() < 0.1) await journey.settle();
    look();
  }
  for (let round = 0; round < 40; round++) await journey.clock.advanceAsync(1_000);
  look();
  journey.pipeline.close();
  await journey.settle();
  look();
  assert.equal(journey.clock.pending, 0, "no timer is left");
  const unexpected = journey.troubles.filter((each) => !/NOT_FOUND|fetching|filling/.test(each));
  assert.deepEqual(unexpected, []);
  const of = (type: string): number => journey.events.filter((event) => event.type === type).length;
  return `${of("block")} blocks, ${of("reorg")} reorgs, ${of("log")} logs, ${of("gap")} gaps, final ${client.final}`;
}

function act(
  journey: HeadsJourney,
  node: Node,
  known: Map<string, Header[]>,
  nodes: readonly Node[],
  random: Random,
  step: number,
): void {
  const { feed } = node;
  const { state } = feed.status();
  if (state !== "up") {
    if (random() < 0.3) feed.start();
    return;
  }
  const extend = (): void => {
    const parent = node.chain.at(-1) as Header;
    const height = (parent.height ?? 0) + 1;
    // Often the block that another node has made on it.
    const others = nodes.flatMap(({ chain }) => chain.filter(({ parentHash }) => parentHash === parent.hash));
    const block =
      others.length > 0 && random() < 0.8
        ? (others[0] as Header)
        : header(`${feed.name}${step}x${height}`, parent.hash, height);
    node.chain = [...node.chain, block];
    known.set(block.hash, node.chain);
    for (const each of nodes) {
      const chance = random();
      const kind = chance < 0.93 ? 0 : chance < 0.97 ? 1 : 2;
      if (random() < 0.8) each.feed.bodies.set(block.hash, new Uint8Array([Math.floor(random() * 40), kind]));
    }
    if (random() < 0.8) journey.tell(feed, block);
  };
  const dice = random();
  if (dice < 0.6) extend();
  else if (dice < 0.7) {
    const back = 1 + Math.floor(random() * 3);
    node.chain = node.chain.slice(0, Math.max(1, node.chain.length - back));
    if (random() < 0.7) journey.tell(feed, node.chain.at(-1) as Header);
  } else if (dice < 0.8) {
    node.chain = [...(known.get(nodes[step % 3]?.chain.at(-1)?.hash ?? "root") ?? node.chain)];
    journey.tell(feed, ...node.chain.slice(-3));
  } else if (dice < 0.86) feed.hangUp();
  else if (dice < 0.92) journey.pipeline.checkFeeds();
  else if (dice < 0.96) {
    const at = node.chain[Math.max(0, node.chain.length - 8)] as Header;
    journey.pipeline.finalized(feed, { hash: at.hash, height: at.height ?? 0 });
  } else journey.pipeline.forget(feed);
}

for (let seed = 1; seed <= Number(process.env["STORM"] ?? 12); seed++) {
  test(`seed ${seed}`, async (context) => {
    context.diagnostic(await storm(seed, Number(process.env["STEPS"] ?? 250)));
  });
}

for (let seed = 101; seed <= 106; seed++) {
  test(`seed ${seed}, without a root`, async (context) => {
    context.diagnostic(await storm(seed, 250, true));
  });
}
