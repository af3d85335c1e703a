/**
 * `sprint inspect`: decodes and validates blocks from files or standard input, one JSON line each.
 *
 * A file holds one raw block, hex (one block, or one a line), a node's block file (magic, length, block, …), or with `headers` a
 * run of headers, each with its AuxPoW where its version says so. Any of these may be gzip. Chains whose blocks come as the JSON
 * of a node's RPC have files of their own beside this one.
 */
import type { Chain } from "../../shared/chain.ts";
import { type Clock, systemClock } from "../../shared/clock.ts";
import { type ErrorCode, isSprintError, SprintError } from "../../shared/errors.ts";
import type { Validation } from "../../shared/events.ts";
import {
  type Ancestor,
  type UtxoCodec,
  codecFor,
  decodeHeader,
  type UtxoHeader,
  type NetworkParams,
  paramsFor,
} from "../chain/index.ts";
import { type Fault, type InspectModules, type Inspection, ofNetwork, unzip, writeLines } from "./files.ts";

export interface InspectOptions {
  readonly chain: Chain;
  readonly network: string;
  /** `header`: work, and rules by ancestors as they become known. `full`: the body as well. */
  readonly level: Validation;
  /** The files hold runs of headers instead of blocks. */
  readonly headers: boolean;
  /** `-` is standard input. */
  readonly files: readonly string[];
}

/** A node's block file has 128 MiB. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;
/** Blocks remembered as ancestors: more than any retarget looks back. */
const MAX_ANCESTORS = 8192;
const FRAME_BYTES = 8;
const HEADER_BYTES = 80;

/** Writes a line for each block; resolves to the exit code: 0 all hold, 1 one does not. Throws SPRINT_CLI_NETWORK. */
export async function inspect(options: InspectOptions, modules: Partial<InspectModules> = {}): Promise<number> {
  const { clock, ...rest } = { clock: systemClock, ...modules };
  const inspector = new Inspector(codecFor(ofNetwork(() => paramsFor(options.chain, options.network))), options, clock);
  return writeLines(options.files, MAX_FILE_BYTES, (read) => inspector.file(read), rest);
}

/** Its parent is forgotten when that is the oldest of too many. */
interface Node extends Ancestor {
  parent: Node | null;
}

class Inspector {
  readonly #codec: UtxoCodec;
  readonly #options: InspectOptions;
  readonly #clock: Clock;
  /** Blocks whose height is known, oldest first. */
  readonly #nodes = new Map<string, Node>();

  constructor(codec: UtxoCodec, options: InspectOptions, clock: Clock) {
    this.#codec = codec;
    this.#options = options;
    this.#clock = clock;
    const { genesisHeader, checkpoint } = codec.params;
    this.#remember(trusted(genesisHeader, codec.params), 0);
    if (checkpoint !== null) this.#remember(trusted(checkpoint.header, codec.params), checkpoint.height);
  }

  async *file(read: () => Promise<Uint8Array>): AsyncGenerator<Inspection> {
    try {
      const bytes = unhex(await unzip(await read(), MAX_FILE_BYTES));
      for (const part of bytes) yield* this.#options.headers ? this.#headers(part) : this.#blocks(part);
    } catch (error) {
      if (!isSprintError(error)) throw error;
      yield this.#line({ error });
    }
  }

  async *#headers(bytes: Uint8Array): AsyncGenerator<Inspection> {
    let before: UtxoHeader | null = null;
    for (let offset = 0; offset < bytes.length;) {
      const { header, end } = this.#codec.decodeHeader(bytes, offset);
      offset = end;
      const stray = before !== null && header.parentHash !== before.hash && !this.#nodes.has(header.parentHash);
      const error = stray
        ? fault("SPRINT_HEADER_PARENT", "hash of the parent", before?.hash ?? "", header.parentHash)
        : await this.#checkHeader(header);
      const height = this.#heightOf(header);
      if (error === null && height !== null) this.#remember(header, height);
      before = header;
      const skipped = height === null ? ["rules by ancestors"] : [];
      yield this.#line({ hash: header.hash, height, error, skipped, validation: "header" });
    }
  }

  async *#blocks(bytes: Uint8Array): AsyncGenerator<Inspection> {
    for (const raw of unframe(bytes, this.#codec.params.magic)) yield await this.#block(raw);
  }

  async #block(raw: Uint8Array): Promise<Inspection> {
    let hash: string | null = null;
    let height: number | null = null;
    try {
      const { header } = this.#codec.decodeHeader(raw);
      hash = header.hash;
      height = this.#heightOf(header);
      const error = await this.#checkHeader(header);
      if (error !== null) return this.#line({ hash, height, error });
      const skipped = this.#nodes.has(header.parentHash) || height === 0 ? [] : ["rules by ancestors"];
      if (this.#options.level === "header") {
        if (height !== null) this.#remember(header, height);
        return this.#line({ hash, height, skipped });
      }
      const verdict = this.#codec.checkBody(raw, { height, hash: null }, null);
      if (!verdict.ok) return this.#line({ hash, height, error: verdict.refusal });
      height ??= verdict.facts.coinbaseHeight;
      if (height !== null) this.#remember(header, height);
      skipped.push(...(verdict.facts.skipped ?? []));
      return this.#line({ hash, height, skipped, txCount: verdict.facts.txCount });
    } catch (error) {
      if (!isSprintError(error)) throw error;
      return this.#line({ hash, height, error });
    }
  }

  async #checkHeader(header: UtxoHeader): Promise<Fault | null> {
    const refusal = await this.#codec.checkHeader(header);
    if (refusal !== null) return refusal;
    const now = Math.floor(this.#clock.wall() / 1000);
    const parent = this.#nodes.get(header.parentHash);
    if (parent !== undefined) return this.#codec.checkContext(header, parent, now);
    // the one rule by context that needs no ancestors
    const latest = now + this.#codec.params.headerRules.maxFutureSeconds;
    if (header.time <= latest) return null;
    return fault("SPRINT_HEADER_TIME_TOO_NEW", "time", `at most ${latest}`, `${header.time}`);
  }

  #heightOf(header: UtxoHeader): number | null {
    const known = this.#nodes.get(header.hash);
    if (known !== undefined) return known.block.height;
    const parent = this.#nodes.get(header.parentHash);
    return parent === undefined ? null : parent.block.height + 1;
  }

  #remember(header: UtxoHeader, height: number): void {
    if (this.#nodes.has(header.hash)) return;
    const parent = this.#nodes.get(header.parentHash) ?? null;
    this.#nodes.set(header.hash, { block: this.#codec.toBlock(header, height, null), parent });
    if (this.#nodes.size <= MAX_ANCESTORS) return;
    const [hash, oldest] = this.#nodes.entries().next().value as [string, Node];
    this.#nodes.delete(hash);
    oldest.parent = null;
  }

  #line(found: {
    readonly hash?: string | null;
    readonly height?: number | null;
    readonly txCount?: number;
    readonly validation?: Validation;
    readonly error?: Fault | null;
    readonly skipped?: readonly string[];
  }): Inspection {
    const { error = null, skipped = [] } = found;
    return {
      chain: this.#options.chain,
      hash: found.hash ?? null,
      height: found.height ?? null,
      tx_count: found.txCount ?? null,
      validation: found.validation ?? this.#options.level,
      ok: error === null,
      error: error === null ? null : { code: error.code, message: error.message },
      ...(error === null && skipped.length > 0 ? { skipped } : {}),
    };
  }
}

function fault(code: ErrorCode, what: string, expected: string, actual: string): Fault {
  return { code, message: `${what}: expected ${expected}, got ${actual}` };
}

/** A header that is trusted needs no AuxPoW. */
function trusted(header: Uint8Array, { headerRules }: NetworkParams): UtxoHeader {
  return decodeHeader(header, 0, { headerRules: { ...headerRules, auxpow: null } }).header;
}

/** Hex becomes bytes, a part a line where each line could be a header at least; other bytes are one part as they are. */
function unhex(bytes: Uint8Array): Uint8Array[] {
  if (bytes.length === 0)
    throw new SprintError("SPRINT_INSPECT_EMPTY", "file: expected a block or headers, got no bytes", {});
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (/^\s*[{[][\s\x20-\x7e]{2}/.test(text.toString("latin1", 0, 64))) {
    const advice = "ask the node for `getblock HASH 0`";
    throw new SprintError("SPRINT_INSPECT_FORMAT", `file: expected raw bytes or hex, got JSON; ${advice}`, {
      actual: "JSON",
    });
  }
  if (!bytes.every(isHexOrSpace)) return [bytes];
  const lines = text.toString("latin1").split(/\s+/).filter(Boolean);
  const parts = lines.every((line) => line.length >= HEADER_BYTES * 2) ? lines : [lines.join("")];
  return parts.map((part) => {
    if (part.length % 2 === 1) {
      throw new SprintError("SPRINT_INSPECT_FORMAT", `hex: expected an even number of digits, got ${part.length}`, {
        actual: part.length,
      });
    }
    return Buffer.from(part, "hex");
  });
}

function isHexOrSpace(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    (byte >= 0x41 && byte <= 0x46) ||
    (byte >= 0x61 && byte <= 0x66) ||
    byte === 0x20 ||
    (byte >= 0x09 && byte <= 0x0d)
  );
}

/** The blocks of a node's block file; bytes that do not start with the network's magic are one block. */
function* unframe(bytes: Uint8Array, magic: Uint8Array): Generator<Uint8Array> {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const framed = (at: number): boolean => view.subarray(at, at + 4).equals(magic);
  if (!framed(0)) {
    yield bytes;
    return;
  }
  for (let at = 0; at < view.length;) {
    // nodes write zeros ahead of the blocks to come
    if (view.subarray(at).every((byte) => byte === 0)) return;
    if (!framed(at) || at + FRAME_BYTES > view.length) {
      throw new SprintError(
        "SPRINT_INSPECT_FRAME",
        `block file: expected magic and length at offset ${at}, got other bytes`,
        { offset: at },
      );
    }
    const length = view.readUInt32LE(at + 4);
    const start = at + FRAME_BYTES;
    if (start + length > view.length) {
      throw new SprintError(
        "SPRINT_INSPECT_FRAME",
        `block file: expected ${length} bytes at offset ${start}, got ${view.length - start}`,
        {
          expected: length,
          actual: view.length - start,
          offset: start,
        },
      );
    }
    yield view.subarray(start, start + length);
    at = start + length;
  }
}
