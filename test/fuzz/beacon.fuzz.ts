/** What beacon nodes send: SSZ of the light client, which encodes back to the same bytes and is judged without a throw; blocks; event streams. */
import assert from "node:assert/strict";
import {
  checkLightClientUpdate,
  executionOfBlock,
  readLightClient,
  startLightClient,
} from "../../src/daemon/chain/index.ts";
import { lightClientTypes } from "../../src/daemon/chain/beacon/containers.ts";
import { EventReader } from "../../src/daemon/upstream/beacon-events.ts";
import {
  blockAt,
  bootstrapAt,
  COMMITTEE,
  finalityUpdateOf,
  forkOf,
  TEST_PARAMS,
  updateOf,
} from "../fakes/beacon-chain.ts";
import { encodeSsz, jsonOf } from "../fakes/ssz.ts";
import { hasData, readData } from "../fakes/data.ts";
import { fuzzParser } from "./harness.ts";
import type { FuzzResult } from "./mutate.ts";

type Judge = (input: Uint8Array) => boolean;
type Kind = "bootstrap" | "update" | "finality_update";

export function fuzz(seed: number, iterations: number): FuzzResult {
  const trusted = bootstrapAt(136);
  const started = startLightClient(trusted, trusted.root, TEST_PARAMS);
  assert.ok(started.ok);
  const { store } = started;

  const judge = (kind: Kind, value: never): boolean => {
    if (kind === "bootstrap") return startLightClient(value, trusted.root, TEST_PARAMS).ok;
    return checkLightClientUpdate(store, value, 1_000_000, TEST_PARAMS).ok;
  };
  const light = (kind: Kind, slot: number, value: object): (readonly [Uint8Array, Judge])[] => {
    const fork = forkOf(slot);
    const type = lightClientTypes(fork, COMMITTEE)[kind];
    const fromSsz: Judge = (input) => {
      const read = readLightClient(kind, fork, input, TEST_PARAMS);
      assert.ok(encodeSsz(type, read as never).equals(input), "SSZ has one form for each value");
      judge(kind, read as never);
      return true;
    };
    const fromJson: Judge = (input) => {
      const text = Buffer.from(input).toString("utf8");
      judge(kind, readLightClient(kind, fork, parsed(text), TEST_PARAMS) as never);
      return true;
    };
    return [
      [encodeSsz(type, value as never), fromSsz],
      [Buffer.from(JSON.stringify(jsonOf(value))), fromJson],
    ];
  };

  const inputs = [
    ...light("bootstrap", 136, trusted),
    ...light("update", 160, updateOf({ attested: 160, finalized: 144 })),
    ...light("finality_update", 40, finalityUpdateOf({ attested: 40, finalized: 24 })),
    ...light("finality_update", 160, finalityUpdateOf({ attested: 160, finalized: 144 })),
    ...light("finality_update", 240, finalityUpdateOf({ attested: 240, finalized: 200 })),
    [events(), judgeEvents] as const,
  ];
  if (hasData) {
    const block = Buffer.concat([Buffer.from([100]), Buffer.alloc(99), readData("ethereum/beacon/block-19426587.ssz")]);
    const mainnet = { ...TEST_PARAMS, committeeSize: 512 };
    inputs.push([block.subarray(0, 4_000), (input) => executionOfBlock("deneb", input, mainnet) !== null]);
    inputs.push([block, (input) => executionOfBlock("deneb", input, mainnet) !== null]);
  }
  return fuzzParser(
    inputs.map(([bytes]) => bytes),
    (input, source) => (inputs[source] as (typeof inputs)[0])[1](input),
    seed,
    iterations,
  );
}

/** JSON that is none never comes as far as the reader. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function events(): Buffer {
  const data = JSON.stringify({ slot: "9", block: blockAt(9).root });
  return Buffer.from(`:hi\n\nevent: head\r\ndata: ${data}\r\n\r\ndata: a\rdata: b\r\r`);
}

/** Cut in the middle it says the same. */
function judgeEvents(input: Uint8Array): boolean {
  const bytes = Buffer.from(input);
  const [whole, cut] = [new EventReader(), new EventReader()];
  const half = Math.floor(bytes.length / 2);
  const all = whole.push(bytes);
  assert.deepEqual([...cut.push(bytes.subarray(0, half)), ...cut.push(bytes.subarray(half))], all);
  return all.length > 0;
}
