/**
 * `sprint inspect --chain solana`: blocks as `getBlock` gives them, one JSON line each.
 *
 * A file holds the result of one call, a whole JSON-RPC response, or an array of either; it may be gzip. Of the encodings base64,
 * base58 and json can be proved; jsonParsed holds nothing that anybody signed, and its line says so. A block may have the entries
 * of its proof of history beside it (`"entries":[{"numHashes","hash","transactions"}]`, and its `slot`): then its blockhash is
 * proved too.
 */
import {
  checkSvmBlock,
  checkSvmLink,
  decodeSvmHeader,
  type SvmFacts,
  type SvmHeader,
  type SvmParams,
  svmParams,
} from "../chain/index.ts";
import { type Fault, type InspectModules, type Inspection, ofNetwork, unzip, writeLines } from "./files.ts";
import { isSprintError, messageOf, SprintError } from "../../shared/errors.ts";
import type { Validation } from "../../shared/events.ts";

export interface InspectSvmOptions {
  readonly network: string;
  /** `header`: a block's place in the chain. `full`: transactions, signatures and entries as well. */
  readonly level: Validation;
  /** Refused: there are none on Solana. */
  readonly headers?: boolean;
  /** `-` is standard input. */
  readonly files: readonly string[];
}

/** A block's JSON has some 5 MB, with every detail some 30. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;
/** Blocks of one file. */
const MAX_BLOCKS = 4_096;
/** Blocks remembered as parents of those to come. */
const MAX_PARENTS = 8_192;

/** Writes a line for each block; resolves to the exit code: 0 all hold, 1 one does not. Throws SPRINT_CLI_NETWORK, _HEADERS. */
export async function inspectSvm(options: InspectSvmOptions, modules: Partial<InspectModules> = {}): Promise<number> {
  if (options.headers === true) {
    throw new SprintError(
      "SPRINT_CLI_HEADERS",
      "--headers: expected none with solana, whose blocks have no headers",
      {},
    );
  }
  const inspector = new SvmInspector(
    options.level,
    ofNetwork(() => svmParams(options.network)),
  );
  return writeLines(options.files, MAX_FILE_BYTES, (read) => inspector.file(read), modules);
}

class SvmInspector {
  readonly #level: Validation;
  readonly #params: SvmParams;
  /** By hash, oldest first. */
  readonly #parents = new Map<string, SvmHeader>();

  constructor(level: Validation, params: SvmParams) {
    this.#level = level;
    this.#params = params;
  }

  async *file(read: () => Promise<Uint8Array>): AsyncGenerator<Inspection> {
    try {
      for (const block of blocksOf(await unzip(await read(), MAX_FILE_BYTES))) yield this.#block(block);
    } catch (error) {
      if (!isSprintError(error)) throw error;
      yield this.#line({ header: null, error });
    }
  }

  #block(json: unknown): Inspection {
    try {
      const result = resultOf(json);
      const options = { params: this.#params };
      const decoded = decodeSvmHeader(result, options);
      const parent = this.#parentOf(decoded);
      const above = typeof parent?.height === "number" ? parent.height + 1 : null;
      const header = { ...decoded, height: decoded.height ?? above };
      const refusal = parent === null ? null : checkSvmLink(parent, header);
      if (refusal !== null) return this.#line({ header, error: refusal });
      if (this.#level === "header") return this.#hold(header, parent, null);
      const verdict = checkSvmBlock(result, options);
      return verdict.ok ? this.#hold(header, parent, verdict.facts) : this.#line({ header, error: verdict.refusal });
    } catch (error) {
      if (!isSprintError(error)) throw error;
      return this.#line({ header: null, error });
    }
  }

  /** The block that this one says it follows: by hash, or, so that a wrong hash is found, by slot. */
  #parentOf({ parentHash, parentSlot, slot }: SvmHeader): SvmHeader | null {
    const named = this.#parents.get(parentHash ?? "");
    if (named !== undefined || slot === 0) return named ?? null;
    return this.#parents.values().find((header) => header.slot === parentSlot) ?? null;
  }

  #hold(header: SvmHeader, parent: SvmHeader | null, facts: SvmFacts | null): Inspection {
    this.#parents.set(header.hash, header);
    if (this.#parents.size > MAX_PARENTS) this.#parents.delete(this.#parents.keys().next().value as string);
    const linked = header.parentHash !== null && (parent !== null || header.slot === 0);
    const skipped = linked ? [] : ["link to the parent"];
    return this.#line({ header, facts, skipped: [...skipped, ...(facts?.skipped ?? [])] });
  }

  #line(found: {
    readonly header: SvmHeader | null;
    readonly facts?: SvmFacts | null;
    readonly error?: Fault;
    readonly skipped?: readonly string[];
  }): Inspection {
    const { header, facts = null, error = null, skipped = [] } = found;
    const whole = facts === null || (facts.txCount !== null && facts.opaque === 0);
    return {
      chain: "solana",
      hash: header?.hash ?? null,
      height: header?.height ?? null,
      tx_count: facts?.txCount ?? null,
      validation: whole ? this.#level : "header",
      ok: error === null,
      error: error === null ? null : { code: error.code, message: error.message },
      ...(skipped.length > 0 ? { skipped } : {}),
    };
  }
}

/** The blocks of a file, each as it stands there. */
function blocksOf(bytes: Uint8Array): readonly unknown[] {
  const json = parse(bytes);
  if (!Array.isArray(json)) return [json];
  if (json.length > 0 && json.length <= MAX_BLOCKS) return json;
  throw new SprintError("SPRINT_SVM_LIMIT", `blocks of a file: expected 1 to ${MAX_BLOCKS}, got ${json.length}`, {
    expected: MAX_BLOCKS,
    actual: json.length,
  });
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    const message = `file: expected the JSON of getBlock, got ${messageOf(error)}`;
    throw new SprintError("SPRINT_INSPECT_FORMAT", message, {}, { cause: error });
  }
}

/** The result of a JSON-RPC response; anything else is a result itself. */
function resultOf(json: unknown): unknown {
  if (typeof json !== "object" || json === null || !("jsonrpc" in json)) return json;
  if ("result" in json) return json.result;
  const told = "error" in json ? json.error : null;
  const text = typeof told === "object" && told !== null && "message" in told ? told.message : null;
  const actual = typeof text === "string" ? `the error "${text.slice(0, 200)}"` : "neither that nor an error's message";
  throw new SprintError("SPRINT_SVM_RPC_ERROR", `response: expected a result, got ${actual}`, { actual });
}
