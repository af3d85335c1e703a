/** What every family's inspection has in common: files in, lines out. */
import { open } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { EXIT } from "../../shared/cli.ts";
import type { Clock } from "../../shared/clock.ts";
import { type ErrorCode, SprintError, isSprintError, messageOf } from "../../shared/errors.ts";
import type { Validation } from "../../shared/events.ts";

/** One line of output (CONTRACT: sprint inspect). */
export interface Inspection {
  readonly chain: string;
  readonly hash: string | null;
  /** Of Solana the block height, not the slot. */
  readonly height: number | null;
  readonly tx_count: number | null;
  readonly validation: Validation;
  readonly ok: boolean;
  readonly error: Fault | null;
  /** What could not be proved, for want of height, ancestors or contents; only where there is anything. */
  readonly skipped?: readonly string[];
}

/** A refusal or an error: what both have. */
export interface Fault {
  readonly code: ErrorCode;
  readonly message: string;
}

export interface InspectModules {
  /** The bytes of a file, at most `maxBytes`. */
  readonly read: (file: string, maxBytes: number) => Promise<Uint8Array>;
  /** One line, without its end. */
  readonly write: (line: string) => void | Promise<void>;
  readonly clock: Clock;
}

/** Writes what `linesOf` finds in each file; resolves to the exit code. */
export async function writeLines(
  files: readonly string[],
  maxFileBytes: number,
  linesOf: (read: () => Promise<Uint8Array>) => AsyncIterable<Inspection>,
  modules: Partial<Pick<InspectModules, "read" | "write">> = {},
): Promise<number> {
  const { read, write } = { read: readInput, write: writeLine, ...modules };
  let failed = false;
  try {
    for (const file of files) {
      for await (const line of linesOf(() => read(file, maxFileBytes))) {
        failed ||= !line.ok;
        await write(JSON.stringify(line));
      }
    }
  } catch (error) {
    // the reader has seen enough (`sprint inspect … | head`)
    if (!isBrokenPipe(error)) throw error;
  }
  return failed ? EXIT.FAILED : EXIT.DONE;
}

/** Bytes that are gzip come unpacked, others as they are. Throws SPRINT_INSPECT_GZIP. */
export async function unzip(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    throw new SprintError(
      "SPRINT_INSPECT_GZIP",
      `gzip: expected a whole file of at most ${maxBytes} bytes, got ${messageOf(error)}`,
      {
        expected: maxBytes,
      },
    );
  }
}

/** A file, or standard input for `-`, never more than `maxBytes` of it. Throws SPRINT_INSPECT_FILE. */
export async function readInput(file: string, maxBytes: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    const source = file === "-" ? process.stdin : (await open(file)).createReadStream();
    for await (const chunk of source) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length > maxBytes) break;
    }
  } catch (error) {
    throw new SprintError("SPRINT_INSPECT_FILE", `${file}: expected a readable file, got ${messageOf(error)}`, {
      file,
    });
  }
  if (length > maxBytes) {
    throw new SprintError("SPRINT_INSPECT_FILE", `${file}: expected at most ${maxBytes} bytes, got more; split it`, {
      file,
      expected: maxBytes,
    });
  }
  return Buffer.concat(chunks);
}

/** Rejects with EPIPE where nobody reads any more; without a listener of its own the stream would end the process with a trace. */
function writeLine(line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.once("error", reject);
    process.stdout.write(`${line}\n`, (error) => {
      if (error) return reject(error);
      process.stdout.off("error", reject);
      resolve();
    });
  });
}

function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EPIPE";
}

/** What `paramsFor` gives. Throws SPRINT_CLI_NETWORK for a network that it does not know. */
export function ofNetwork<T>(paramsFor: () => T): T {
  try {
    return paramsFor();
  } catch (error) {
    if (!isSprintError(error)) throw error;
    throw new SprintError("SPRINT_CLI_NETWORK", `--network: ${error.message}`, error.data);
  }
}
