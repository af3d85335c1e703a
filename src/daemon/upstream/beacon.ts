/**
 * A node of Ethereum's consensus layer: no source of headers or bodies, but of what is final. With a trusted block root its word is not taken for it:
 * a light client proves the finalized execution block by the signatures of sync committees, and only then it is told.
 *
 * Of the event stream `head` and `finalized_checkpoint` are listened to; `block` comes before the head is chosen, and `chain_reorg` says what the
 * execution nodes' heads say. A checkpoint is told when its block is imported; the update that proves it is there a slot later, so each head asks again.
 */
import type { Cancel } from "../../shared/clock.ts";
import { SprintError } from "../../shared/errors.ts";
import {
  type BeaconParams,
  beaconParamsFor,
  type ChainCodec,
  executionOfBlock,
  type ExecutionPoint,
  isBeaconFork,
  type Refusal,
  type SyncSignature,
} from "../chain/index.ts";
import { BeaconClient, beaconProblem } from "./beacon-client.ts";
import { EventReader, type ServerEvent } from "./beacon-events.ts";
import { FinalityProof } from "./beacon-proof.ts";
import { verifyInThread } from "./beacon-signature.ts";
import { type FeedModules, type FeedOptions, type Link, type LinkEvents, LinkFeed } from "./feed.ts";
import { asLost } from "./rpc.ts";
import type { Feed } from "./types.ts";
import type { BeaconAddress } from "./url.ts";

export interface BeaconFeedOptions extends Pick<
  FeedOptions,
  "name" | "stallMs" | "openTimeoutMs" | "requestTimeoutMs" | "backoff"
> {
  readonly address: BeaconAddress;
  /** Silence of the event stream after which the node is asked for its head. A minute has five slots. */
  readonly silenceMs?: number;
}

export interface BeaconFeedModules extends Omit<FeedModules, "connect"> {
  readonly codec: Pick<ChainCodec, "chain" | "network">;
  /** In place of those of the codec's network. */
  readonly params?: BeaconParams;
  /** An update that proves nothing yet, by no fault of the node; the next one is asked for. */
  readonly onNotYet?: (refusal: Refusal) => void;
  /** In place of a thread of its own. */
  readonly verify?: (signature: SyncSignature, signal: AbortSignal) => Promise<boolean>;
}

export const BEACON_DEFAULTS = { silenceMs: 60_000 } as const;

const TOPICS = ["head", "finalized_checkpoint"] as const;
const MAX_SMALL_BYTES = 65_536;
/** A block has 10 MiB at most on the consensus layer's network, in JSON twice that. */
const MAX_BLOCK_BYTES = 24 * 1_048_576;
const ROOT = /^0x[0-9a-f]{64}$/;

/** Throws SPRINT_UPSTREAM_NO_BEACON_CHAIN where the network has none that is known. */
export function createBeaconFeed(options: BeaconFeedOptions, modules: BeaconFeedModules): Feed {
  const { address } = options;
  const { clock, codec } = modules;
  const params = modules.params ?? paramsOf(codec);
  const verify = modules.verify ?? ((signature, signal) => verifyInThread(signature, clock, signal));
  const onNotYet = modules.onNotYet ?? (() => {});
  const proof =
    address.trusted === null
      ? null
      : new FinalityProof({ trustedRoot: address.trusted }, { params, clock, verify, onNotYet });
  const settings = { ...BEACON_DEFAULTS, ...options };
  return new LinkFeed(
    {
      ...options,
      chain: codec.chain,
      kind: "beacon",
      url: address.display,
      blockTimeSeconds: params.secondsPerSlot,
    },
    { ...modules, connect: (events): Link => new BeaconLink(settings, { params, clock, proof }, events) },
  );
}

function paramsOf({ chain, network }: Pick<ChainCodec, "chain" | "network">): BeaconParams {
  const params = chain === "ethereum" ? beaconParamsFor(network) : null;
  if (params !== null) return params;
  throw new SprintError(
    "SPRINT_UPSTREAM_NO_BEACON_CHAIN",
    `beacon+http:// is for Ethereum's mainnet, sepolia, holesky and hoodi, got ${chain} ${network}; use ws:// or http:// there`,
    { chain, network },
  );
}

interface Settings {
  readonly address: BeaconAddress;
  readonly silenceMs: number;
}

interface LinkModules {
  readonly params: BeaconParams;
  readonly clock: FeedModules["clock"];
  /** Null: the node is believed. */
  readonly proof: FinalityProof | null;
}

class BeaconLink implements Link {
  readonly #settings: Settings;
  readonly #modules: LinkModules;
  readonly #events: LinkEvents;
  readonly #client: BeaconClient;
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;
  /** Root of the newest head that was told. */
  #head = "";
  /** Of the two: told by the node, and not followed yet. The newest counts. */
  #wantedHead: string | null = null;
  #wantedFinal: string | null = null;
  #again = false;
  /** The newest that was told or proved. */
  #final: ExecutionPoint | null = null;
  #following: Promise<void> | null = null;
  #cancelSilence: Cancel = () => {};

  constructor(settings: Settings, modules: LinkModules, events: LinkEvents) {
    const { secure, host, port, path } = settings.address;
    this.#settings = settings;
    this.#modules = modules;
    this.#events = events;
    const origin = `${secure ? "https" : "http"}://${host}${port === null ? "" : `:${port}`}`;
    this.#client = new BeaconClient({ origin, path }, modules);
    // Nothing is told before the feed has this link.
    this.#ended = Promise.resolve().then(() => this.#run());
  }

  /** It has no headers of the execution layer, so never one that was not pushed. */
  headersAfter(): ReturnType<Link["headersAfter"]> {
    return Promise.resolve([]);
  }

  body(hash: string): Promise<Uint8Array> {
    const message = `a beacon node has no execution block ${hash} as its codec takes it: ask another upstream`;
    return Promise.reject(new SprintError("SPRINT_UPSTREAM_NOT_FOUND", message, { hash }));
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#cancelSilence();
    await this.#client.close();
    await this.#ended;
    await this.#following;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    try {
      await this.#identify(signal);
      const stream = await this.#client.events(TOPICS, signal);
      // After the stream has begun, so that nothing is missed between.
      this.#head = await this.#askHead(signal);
      this.#wantedHead = this.#head;
      this.#wantedFinal = await this.#askFinalized(signal);
      this.#events.up();
      this.#heard();
      this.#follow();
      const reader = new EventReader();
      for await (const chunk of stream) for (const event of reader.push(chunk)) this.#onEvent(event);
      throw beaconProblem("DISCONNECTED", `${this.#settings.address.display} ended the event stream`);
    } catch (error) {
      this.#lost(error);
    }
  }

  async #identify(signal: AbortSignal): Promise<void> {
    const genesis = await this.#data("/eth/v1/beacon/genesis", signal);
    const { genesisValidatorsRoot: expected, network } = this.#modules.params;
    const actual = rootOf(genesis, "genesis_validators_root", "genesis");
    if (actual !== expected) {
      throw new SprintError(
        "SPRINT_UPSTREAM_WRONG_NETWORK",
        `expected a beacon node of ${network}, whose genesis validators root is ${expected}, got ${actual}; is it on another network?`,
        { expected, actual },
      );
    }
    const { version } = objectOf(await this.#data("/eth/v1/node/version", signal), "version");
    if (typeof version === "string") this.#events.told({ agent: version.slice(0, 256) });
  }

  #onEvent({ name, data }: ServerEvent): void {
    if (name !== "head" && name !== "finalized_checkpoint") return;
    let json: unknown;
    try {
      json = JSON.parse(data);
    } catch (cause) {
      throw beaconProblem(
        "NOT_JSON",
        `event ${name}: expected JSON, got ${data.length} characters that are none`,
        {},
        cause,
      );
    }
    const root = rootOf(json, "block", `event ${name}`);
    this.#heard();
    if (name === "head") {
      this.#head = root;
      this.#wantedHead = root;
    } else if (isVerified(json)) {
      this.#wantedFinal = root;
    }
    this.#follow();
  }

  // --- what is told leads to an execution block ---

  /** One walk at a time; what is told meanwhile makes it go once more. */
  #follow(): void {
    this.#again = true;
    if (this.#following !== null || this.#abort.signal.aborted) return;
    this.#following = this.#followWanted(this.#abort.signal)
      .catch((error: unknown) => this.#lost(error))
      .finally(() => {
        this.#following = null;
        if (this.#again) this.#follow();
      });
  }

  async #followWanted(signal: AbortSignal): Promise<void> {
    while (this.#again && !signal.aborted) {
      this.#again = false;
      const [finalized, head] = [this.#wantedFinal, this.#wantedHead];
      this.#wantedHead = null;
      const point = finalized === null ? null : await this.#finalizedPoint(finalized, signal);
      this.#final = point ?? this.#final;
      // Again with each head: who is told may not have had that block before.
      if (this.#final !== null) this.#events.told({ finalized: this.#final });
      const execution = head === null ? null : await this.#executionOf(head, signal);
      if (execution !== null) this.#events.told({ height: execution.height });
    }
  }

  /** The checkpoint stays wanted until it was proved, or its block was there: the next head asks again. */
  async #finalizedPoint(root: string, signal: AbortSignal): Promise<ExecutionPoint | null> {
    const { proof } = this.#modules;
    if (proof === null) {
      const point = await this.#executionOf(root, signal);
      if (point !== null && this.#wantedFinal === root) this.#wantedFinal = null;
      return point;
    }
    const proved = await proof.advance(this.#client, signal);
    if (proved.root === this.#wantedFinal) this.#wantedFinal = null;
    return proved.execution;
  }

  /** Null where the node has no such block, and before the merge. */
  async #executionOf(root: string, signal: AbortSignal): Promise<ExecutionPoint | null> {
    const path = `/eth/v2/beacon/blocks/${root}`;
    const answer = await this.#client.ask(path, { signal, maxBytes: MAX_BLOCK_BYTES, ssz: true });
    if (answer === null) return null;
    const json = answer.body instanceof Uint8Array ? null : objectOf(answer.body, path);
    const fork = json?.["version"] ?? answer.version;
    if (!isBeaconFork(fork)) return null;
    return executionOfBlock(fork, json === null ? answer.body : json["data"], this.#modules.params);
  }

  // --- a stream that says nothing ---

  #heard(): void {
    this.#cancelSilence();
    if (this.#abort.signal.aborted) return;
    this.#cancelSilence = this.#modules.clock.after(this.#settings.silenceMs, () => void this.#askWhetherStalled());
  }

  async #askWhetherStalled(): Promise<void> {
    const { signal } = this.#abort;
    try {
      const [told, head] = [this.#head, await this.#askHead(signal)];
      // Slots without a block, or an event that came meanwhile.
      if (head === told || told !== this.#head) return this.#heard();
      const { silenceMs, address } = this.#settings;
      throw new SprintError(
        "SPRINT_UPSTREAM_STALLED",
        `${address.display} told no head for ${silenceMs} ms; asked, it has another one. Connecting again.`,
        { silenceMs },
      );
    } catch (error) {
      this.#lost(error);
    }
  }

  async #askHead(signal: AbortSignal): Promise<string> {
    return rootOf(await this.#data("/eth/v1/beacon/headers/head", signal), "root", "head");
  }

  /** Null where nothing is final yet, or where the node has not verified it. */
  async #askFinalized(signal: AbortSignal): Promise<string | null> {
    const path = "/eth/v1/beacon/states/head/finality_checkpoints";
    const answer = await this.#client.ask(path, { signal, maxBytes: MAX_SMALL_BYTES });
    const body = objectOf(answer?.body, path);
    const root = rootOf(objectOf(body["data"], path)["finalized"], "root", path);
    return isVerified(body) && !/^0x0+$/.test(root) ? root : null;
  }

  /** The `data` of a small answer. */
  async #data(path: string, signal: AbortSignal): Promise<unknown> {
    const answer = await this.#client.ask(path, { signal, maxBytes: MAX_SMALL_BYTES });
    return objectOf(answer?.body, path)["data"];
  }

  #lost(error: unknown): void {
    if (!this.#abort.signal.aborted) this.#events.lost(asLost(error));
  }
}

/** False where the node says that its execution node has not checked what it tells. */
function isVerified(json: unknown): boolean {
  return objectOf(json, "event")["execution_optimistic"] !== true;
}

function objectOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null) return value as Readonly<Record<string, unknown>>;
  throw beaconProblem("SHAPE", `${what}: expected an object, got ${value === undefined ? "none" : typeof value}`);
}

function rootOf(value: unknown, field: string, what: string): string {
  const root = objectOf(value, what)[field];
  if (typeof root === "string" && ROOT.test(root.toLowerCase())) return root.toLowerCase();
  throw beaconProblem("SHAPE", `${what}: expected a root of 32 bytes in ${field}, got ${typeof root}`);
}
