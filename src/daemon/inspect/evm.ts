/**
 * `sprint inspect` for Ethereum and the networks that work like it: blocks and headers, one JSON line each.
 *
 * A file holds the JSON of a node's RPC (a block, a whole response, or an array of either), or RLP one after the other, as bytes or
 * hex: blocks [header, transactions, ommers, withdrawals], or headers. Any of these may be gzip. The receipts of the one block of a
 * file may come beside it, in either form.
 */
import {
  checkEthash,
  checkEvmBlock,
  checkEvmContext,
  checkEvmFuture,
  checkEvmHeader,
  decodeEvmHeader,
  EthashCache,
  type EvmBlock,
  evmBlockFromJson,
  evmBlockFromRlp,
  type EvmHeader,
  evmHeaderFromJson,
  type EvmParams,
  evmParamsFor,
  type EvmReceipt,
  evmReceiptsFromJson,
  evmReceiptsFromRlp,
  isEthash,
  isRlpBlock,
  openResponse,
  parseJson,
  readRlp,
  type Refusal,
} from "../chain/index.ts";
import { type Fault, type InspectModules, type Inspection, ofNetwork, readInput, unzip, writeLines } from "./files.ts";
import type { EvmChain } from "../../shared/chain.ts";
import { systemClock } from "../../shared/clock.ts";
import { isSprintError, SprintError } from "../../shared/errors.ts";
import type { Validation } from "../../shared/events.ts";

export interface InspectEvmOptions {
  readonly chain: EvmChain;
  readonly network: string;
  /** `header`: hash, work, and rules by the parent as it becomes known. `full`: the body as well. */
  readonly level: Validation;
  /** The files hold runs of headers: each must follow the one before. */
  readonly headers: boolean;
  /** `-` is standard input. */
  readonly files: readonly string[];
  /** The receipts of the one block that there is. */
  readonly receipts?: string;
}

export interface InspectEvmModules extends InspectModules {
  /** Whether a header's proof of work holds; null where it does. Called only for blocks that have one. */
  readonly checkWork: (header: EvmHeader) => Refusal | null;
}

const MAX_FILE_BYTES = 64 * 1024 * 1024;
/** Blocks or headers of one file. */
const MAX_BLOCKS = 100_000;
/** Headers remembered as parents of those to come. */
const MAX_PARENTS = 8_192;

/** Writes a line for each block; resolves to the exit code: 0 all hold, 1 one does not. Throws SPRINT_CLI_NETWORK. */
export async function inspectEvm(
  options: InspectEvmOptions,
  modules: Partial<InspectEvmModules> = {},
): Promise<number> {
  const { clock, checkWork, ...rest } = { clock: systemClock, checkWork: workChecker(), read: readInput, ...modules };
  const { receipts, files } = options;
  const readReceipts = receipts === undefined ? null : () => rest.read(receipts, MAX_FILE_BYTES);
  const inspector = new EvmInspector(
    options,
    ofNetwork(() => evmParamsFor(options.chain, options.network)),
    { clock, checkWork, readReceipts },
  );
  return writeLines(files, MAX_FILE_BYTES, (read) => inspector.file(read), rest);
}

/** Keeps the cache of the last epoch: it takes seconds to make. */
function workChecker(): InspectEvmModules["checkWork"] {
  let cache: EthashCache | null = null;
  return (header) => {
    if (cache === null || !cache.holds(header.number)) cache = new EthashCache(header.number);
    return checkEthash(header, cache);
  };
}

interface InspectorModules extends Pick<InspectEvmModules, "clock" | "checkWork"> {
  readonly readReceipts: (() => Promise<Uint8Array>) | null;
}

/** A block or a header of a file, read when its turn comes. */
type Item = () => EvmBlock | EvmHeader;

class EvmInspector {
  readonly #options: InspectEvmOptions;
  readonly #params: EvmParams;
  readonly #modules: InspectorModules;
  /** By hash, oldest first. */
  readonly #parents = new Map<string, EvmHeader>();

  constructor(options: InspectEvmOptions, params: EvmParams, modules: InspectorModules) {
    this.#options = options;
    this.#params = params;
    this.#modules = modules;
  }

  async *file(read: () => Promise<Uint8Array>): AsyncGenerator<Inspection> {
    try {
      const items = this.#items(unhex(await unzip(await read(), MAX_FILE_BYTES)));
      const receipts = await this.#receiptsFor(items.length);
      let before: EvmHeader | null = null;
      for (const item of items) {
        const { line, header } = this.#inspect(item, before, receipts);
        before = header ?? before;
        yield line;
      }
    } catch (error) {
      if (!isSprintError(error)) throw error;
      yield this.#line({ error });
    }
  }

  #items(bytes: Uint8Array): readonly Item[] {
    const items = isJson(bytes) ? this.#jsonItems(bytes) : this.#rlpItems(bytes);
    if (items.length > 0 && items.length <= MAX_BLOCKS) return items;
    const message = `file: expected 1 to ${MAX_BLOCKS} blocks or headers, got ${items.length}`;
    throw new SprintError("SPRINT_INSPECT_EMPTY", message, { expected: MAX_BLOCKS, actual: items.length });
  }

  #jsonItems(bytes: Uint8Array): readonly Item[] {
    const json = parseJson(bytes);
    const all: readonly unknown[] = Array.isArray(json) ? json : [json];
    return all.map((each) => () => {
      const value = openResponse(each);
      const hasBody = typeof value === "object" && value !== null && "transactions" in value;
      return hasBody && !this.#options.headers ? evmBlockFromJson(value, this.#params) : evmHeaderFromJson(value);
    });
  }

  #rlpItems(bytes: Uint8Array): readonly Item[] {
    const items: Item[] = [];
    for (let at = 0; at < bytes.length && items.length <= MAX_BLOCKS;) {
      const from = at;
      at = readRlp(bytes, at).end;
      const own = bytes.subarray(from, at);
      items.push(() => (isRlpBlock(own, 0) ? evmBlockFromRlp(own).block : decodeEvmHeader(own)));
    }
    return items;
  }

  async #receiptsFor(count: number): Promise<readonly EvmReceipt[] | null> {
    const { readReceipts } = this.#modules;
    if (readReceipts === null) return null;
    if (count !== 1 || this.#options.files.length !== 1) {
      const message = `--receipts: expected one block in one file, got ${count} in ${this.#options.files.length}`;
      throw new SprintError("SPRINT_INSPECT_RECEIPTS", message, { actual: count });
    }
    const bytes = unhex(await unzip(await readReceipts(), MAX_FILE_BYTES));
    return isJson(bytes) ? evmReceiptsFromJson(parseJson(bytes)) : evmReceiptsFromRlp(bytes);
  }

  #inspect(
    item: Item,
    before: EvmHeader | null,
    receipts: readonly EvmReceipt[] | null,
  ): { readonly line: Inspection; readonly header: EvmHeader | null } {
    let header: EvmHeader | null = null;
    try {
      const read = item();
      const block = "header" in read ? read : null;
      header = block === null ? (read as EvmHeader) : block.header;
      const skipped: string[] = [];
      const refusal = this.#checkHeader(header, before, skipped);
      if (refusal !== null) return { header, line: this.#line({ header, error: refusal }) };
      if (block === null || this.#options.level === "header" || this.#options.headers) {
        this.#remember(header);
        return { header, line: this.#line({ header, skipped, validation: "header" }) };
      }
      const verdict = checkEvmBlock(block, receipts, this.#params);
      if (!verdict.ok) return { header, line: this.#line({ header, error: verdict.refusal }) };
      this.#remember(header);
      skipped.push(...verdict.facts.skipped);
      const { level, txCount } = verdict.facts;
      return { header, line: this.#line({ header, skipped, validation: level, txCount }) };
    } catch (error) {
      if (!isSprintError(error)) throw error;
      return { header, line: this.#line({ header, error }) };
    }
  }

  #checkHeader(header: EvmHeader, before: EvmHeader | null, skipped: string[]): Fault | null {
    const now = Math.floor(this.#modules.clock.wall() / 1000);
    const alone = checkEvmHeader(header, this.#params) ?? checkEvmFuture(header, now, this.#params);
    if (alone !== null) return alone;
    const named = this.#parents.get(header.parentHash);
    // in a run the one before is the parent, and a wrong hash is found
    const parent = named ?? (this.#options.headers ? before : null);
    if (parent !== null) {
      const refusal = checkEvmContext(header, parent, this.#params);
      if (refusal !== null) return refusal;
    } else if (header.number > 0) skipped.push("rules by the parent");
    return isEthash(header, this.#params) ? this.#modules.checkWork(header) : null;
  }

  #remember(header: EvmHeader): void {
    this.#parents.set(header.hash, header);
    if (this.#parents.size > MAX_PARENTS) this.#parents.delete(this.#parents.keys().next().value as string);
  }

  #line(found: {
    readonly header?: EvmHeader | null;
    readonly txCount?: number;
    readonly validation?: Validation;
    readonly error?: Fault;
    readonly skipped?: readonly string[];
  }): Inspection {
    const { header = null, error = null, skipped = [] } = found;
    return {
      chain: this.#options.chain,
      hash: header?.hash ?? null,
      height: header?.number ?? null,
      tx_count: found.txCount ?? null,
      validation: found.validation ?? this.#options.level,
      ok: error === null,
      error: error === null ? null : { code: error.code, message: error.message },
      ...(error === null && skipped.length > 0 ? { skipped } : {}),
    };
  }
}

/** RLP of a list begins at 0xc0, JSON with a character. */
function isJson(bytes: Uint8Array): boolean {
  return (bytes[0] ?? 0xff) < 0xc0;
}

/** Hex, with 0x or without, becomes bytes; other files are as they are. */
function unhex(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0)
    throw new SprintError("SPRINT_INSPECT_EMPTY", "file: expected blocks or headers, got no bytes");
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (!/^\s*(0x)?[0-9a-f]{8}/i.test(text.toString("latin1", 0, 64))) return bytes;
  const digits = text.toString("latin1").replace(/\s+|0x/gi, "");
  const decoded = Buffer.from(digits, "hex");
  if (decoded.length * 2 === digits.length) return decoded;
  throw new SprintError("SPRINT_INSPECT_FORMAT", "hex: expected an even number of hex digits, got others", {
    actual: digits.length,
  });
}
