/** A beacon node in the hands of a test: the small chain of beacon-chain.ts behind the HTTP API, and every bad habit on order. */
import { EventEmitter, once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { lightClientTypes } from "../../src/daemon/chain/beacon/containers.ts";
import { periodAt } from "../../src/daemon/chain/beacon/params.ts";
import type { BeaconAddress } from "../../src/daemon/upstream/url.ts";
import { parseUpstreamUrl } from "../../src/daemon/upstream/url.ts";
import {
  blockAt,
  bootstrapAt,
  COMMITTEE,
  executionHashAt,
  finalityUpdateOf,
  forkOf,
  heightAt,
  SLOTS_PER_PERIOD,
  TEST_PARAMS,
  type UpdateOptions,
  updateOf,
} from "./beacon-chain.ts";
import { encodeSsz, jsonOf } from "./ssz.ts";

export interface FakeBeacon {
  readonly url: string;
  address(query?: string): BeaconAddress;
  /** Slots of its newest block and of the finalized one. */
  head: number;
  finalized: number;
  /** Over what it says of itself, by path without query: an object is JSON, a function does what it likes. */
  readonly habits: Map<string, object | ((response: ServerResponse) => void)>;
  /** How the next finality updates are made. */
  finality: Partial<UpdateOptions>;
  /** Whether it serves SSZ to who takes it. */
  servesSsz: boolean;
  /** Paths that were asked for, with query. */
  readonly asked: string[];
  /** Streams that are open. */
  readonly streams: Set<ServerResponse>;
  /** A head event for `head`, and one for the checkpoint where `finalized` is given. */
  advance(head: number, finalized?: number): void;
  say(text: string): void;
  /** Resolves as soon as it holds; asked after each request. */
  until(holds: () => boolean): Promise<void>;
}

const ZERO = `0x${"00".repeat(32)}`;

export async function fakeBeacon(t: TestContext, at: { head: number; finalized: number }): Promise<FakeBeacon> {
  const changed = new EventEmitter();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://node");
    node.asked.push(url.pathname + url.search);
    const habit = node.habits.get(url.pathname) ?? node.habits.get(url.pathname.replace(/0x[0-9a-f]{64}$/, ":root"));
    const takesSsz = node.servesSsz && (request.headers.accept ?? "").startsWith("application/octet-stream");
    if (typeof habit === "function") habit(response);
    else if (habit !== undefined) sendJson(response, habit);
    else answer(url, response, takesSsz);
    setImmediate(() => changed.emit("change"));
  });

  function answer(url: URL, response: ServerResponse, takesSsz: boolean): void {
    const path = url.pathname;
    const rootAsked = /0x[0-9a-f]{64}$/.exec(path)?.[0] ?? "";
    const slotAsked = Array.from({ length: node.head + 1 }, (_, slot) => slot).find(
      (slot) => known(slot) === rootAsked,
    );
    if (path === "/eth/v1/beacon/genesis") {
      return sendJson(response, { data: { genesis_validators_root: TEST_PARAMS.genesisValidatorsRoot } });
    }
    if (path === "/eth/v1/node/version") return sendJson(response, { data: { version: "Fake/v1.2.3" } });
    if (path === "/eth/v1/beacon/headers/head") return sendJson(response, { data: { root: blockAt(node.head).root } });
    if (path === "/eth/v1/beacon/states/head/finality_checkpoints") {
      const root = node.finalized === 0 ? ZERO : blockAt(node.finalized).root;
      return sendJson(response, { execution_optimistic: false, data: { finalized: { epoch: "1", root } } });
    }
    if (path === "/eth/v1/events") {
      response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
      node.streams.add(response);
      response.on("close", () => {
        node.streams.delete(response);
        changed.emit("change");
      });
      return;
    }
    if (path.startsWith("/eth/v2/beacon/blocks/") && slotAsked !== undefined) {
      const payload = { block_number: heightAt(slotAsked), block_hash: executionHashAt(slotAsked) };
      return sendJson(response, {
        version: forkOf(slotAsked),
        data: { message: { body: { execution_payload: jsonOf(payload) } } },
      });
    }
    if (path.startsWith("/eth/v1/beacon/light_client/bootstrap/") && slotAsked !== undefined) {
      return sendLight(response, "bootstrap", slotAsked, bootstrapAt(slotAsked), takesSsz);
    }
    if (path === "/eth/v1/beacon/light_client/updates") {
      const [from, count] = ["start_period", "count"].map((name) => Number(url.searchParams.get(name))) as [
        number,
        number,
      ];
      const last = periodAt(node.finalized, TEST_PARAMS);
      const periods = Array.from({ length: count }, (_, i) => from + i).filter((period) => period <= last);
      const updates = periods.map((period) => {
        const first = period * SLOTS_PER_PERIOD;
        const update = updateOf({ attested: first + 20, finalized: first + 8, ...node.finality });
        return { version: forkOf(first + 20), data: jsonOf(update) };
      });
      return sendJson(response, updates);
    }
    if (path === "/eth/v1/beacon/light_client/finality_update") {
      const update = finalityUpdateOf({ attested: node.head - 1, finalized: node.finalized, ...node.finality });
      return sendLight(response, "finality_update", node.head - 1, update, takesSsz);
    }
    response.writeHead(404).end('{"code":404,"message":"NOT_FOUND"}');
  }

  const roots = new Map<number, string>();
  function known(slot: number): string {
    const root = roots.get(slot) ?? blockAt(slot).root;
    roots.set(slot, root);
    return root;
  }
  function sendLight(
    response: ServerResponse,
    kind: "bootstrap" | "finality_update",
    slot: number,
    value: object,
    takesSsz: boolean,
  ): void {
    const fork = forkOf(slot);
    if (!takesSsz) return sendJson(response, { version: fork, data: jsonOf(value) });
    response.writeHead(200, { "content-type": "application/octet-stream", "eth-consensus-version": fork });
    response.end(encodeSsz(lightClientTypes(fork, COMMITTEE)[kind], value as never));
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const node: FakeBeacon = {
    url: `http://${host}`,
    address(query = "") {
      const address = parseUpstreamUrl(`beacon+http://${host}${query}`);
      if (address.kind !== "beacon") throw new Error("not a beacon address");
      return address;
    },
    ...at,
    habits: new Map(),
    finality: {},
    servesSsz: true,
    asked: [],
    streams: new Set(),
    advance(head, finalized) {
      node.head = head;
      if (finalized !== undefined) node.finalized = finalized;
      const { root } = blockAt(head);
      node.say(
        `event: head\ndata: ${JSON.stringify({ slot: String(head), block: root, execution_optimistic: false })}\n\n`,
      );
      if (finalized === undefined) return;
      const checkpoint = { block: blockAt(finalized).root, epoch: String(Math.ceil(finalized / 8)) };
      node.say(`event: finalized_checkpoint\ndata: ${JSON.stringify(checkpoint)}\n\n`);
    },
    say(text) {
      for (const stream of node.streams) stream.write(text);
    },
    async until(holds) {
      while (!holds()) await once(changed, "change");
    },
  };
  return node;
}

function sendJson(response: ServerResponse, value: object): void {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}
