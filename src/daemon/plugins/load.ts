/** Chains that plug-ins bring: each module is loaded, held against the interface, and becomes a row like any other; or is refused with the reason. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { pathToFileURL } from "node:url";
import type { Chain, ChainFamily } from "../../shared/chain.ts";
import { CHAIN_NAME, isBuiltIn } from "../../shared/chain.ts";
import { type ErrorCode, SprintError, isSprintError, messageOf } from "../../shared/errors.ts";
import {
  CHAIN_KIT,
  type ChainCodec,
  type ChainDefinition,
  type ChainPlugin,
  type EvmCodec,
  PLUGIN_API,
  type SvmCodec,
  type UtxoCodec,
} from "../chain/index.ts";
import { importSource, type ModuleSource } from "../prove/index.ts";
import { type ChainRow, type OpenChain, openEvm, openSvm, openUtxo, statsOf } from "../line/index.ts";

export interface PluginStatus {
  readonly path: string;
  /** Null where the module never said. */
  readonly chain: Chain | null;
  /** `refused`: the last try to load it failed. */
  readonly state: "loaded" | "refused";
  readonly error: { readonly code: ErrorCode; readonly message: string } | null;
  /** How often it was loaded since the start. */
  readonly loads: number;
  /** A row of it is in use: the newest that was not refused. */
  readonly serves: boolean;
}

export interface Plugins {
  row(chain: Chain): ChainRow | undefined;
  statuses(): readonly PluginStatus[];
  /** Loads each module anew; those no longer named go. One that is refused leaves what it brought before in place. Never rejects. */
  load(paths: readonly string[]): Promise<readonly PluginStatus[]>;
}

interface Slot {
  status: PluginStatus;
  row: ChainRow | null;
}

const NETWORK_NAME = /^[a-z0-9-]{1,32}$/;
const SHORT_NAME = /^[a-z0-9]{1,12}$/;
/** A module that never ends its loading holds nothing up. */
const LOAD_MS = 10_000;

export function createPlugins(): Plugins {
  const slots = new Map<string, Slot>();
  /** A module of a path that comes back is another one: what was loaded once stays loaded under its number. */
  const tries = new Map<string, number>();

  const loadOne = async (path: string): Promise<void> => {
    const before = slots.get(path);
    const loads = (tries.get(path) ?? 0) + 1;
    tries.set(path, loads);
    try {
      const row = await loadPlugin(path, loads);
      const other = [...slots].find(([each, slot]) => each !== path && slot.row?.chain === row.chain);
      if (other !== undefined) throw refused("TWICE", path, `${row.chain} is brought by ${other[0]} already`);
      slots.set(path, { row, status: { path, chain: row.chain, state: "loaded", error: null, loads, serves: true } });
    } catch (error) {
      const told = isSprintError(error) ? error : refused("THREW", path, messageOf(error));
      const row = before?.row ?? null;
      const status = { path, chain: row?.chain ?? null, loads, serves: row !== null };
      slots.set(path, {
        row,
        status: { ...status, state: "refused", error: { code: told.code, message: told.message } },
      });
    }
  };

  return {
    row: (chain) => [...slots.values()].find(({ row }) => row?.chain === chain)?.row ?? undefined,
    statuses: () => [...slots.values()].map(({ status }) => status),
    async load(paths) {
      for (const path of slots.keys()) if (!paths.includes(path)) slots.delete(path);
      for (const path of paths) await loadOne(path);
      return paths.flatMap((path) => slots.get(path)?.status ?? []);
    },
  };
}

export interface PluginRow extends ChainRow {
  /** The usual one first. */
  readonly networks: readonly string[];
}

/** One module as a row. `version`: a module is loaded once for each. Throws SPRINT_PLUGIN_*. */
export async function loadPlugin(path: string, version: number): Promise<PluginRow> {
  const module: ModuleSource = { url: `${pathToFileURL(path).href}?v=${version}`, source: sourceOf(path) };
  const definition = await definitionOf(path, module);
  const { chain, networks, shortName = chain } = definition;
  const codecs = new Map(networks.map((network) => [network, checkedCodec(path, definition, network)]));
  const family = [...codecs.values()][0]?.family as ChainFamily;
  for (const [network, codec] of codecs) tryOut(path, network, openAs(family, codec, shortName));
  return {
    chain,
    family,
    networks,
    shortName,
    plugin: module,
    open(network) {
      const codec = codecs.get(network);
      if (codec !== undefined) return openAs(family, codec, shortName);
      const message = `network of ${chain}: expected one of ${networks.join(", ")}, got ${network}`;
      throw new SprintError("SPRINT_CHAIN_UNKNOWN_NETWORK", message, { chain, expected: networks, actual: network });
    },
  };
}

/** A megabyte is no chain's rules. */
const MAX_SOURCE_BYTES = 1024 * 1024;

function sourceOf(path: string): string {
  if (!existsSync(path)) throw refused("LOAD", path, "there is no such file");
  try {
    const { size } = statSync(path);
    if (size > MAX_SOURCE_BYTES)
      throw refused("LOAD", path, `expected at most ${MAX_SOURCE_BYTES} bytes, it has ${size}`);
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isSprintError(error)) throw error;
    throw refused("LOAD", path, messageOf(error), error);
  }
}

/** What a line of the chain is opened with: at a start nothing of it may throw, or no chain would be relayed. */
function tryOut(path: string, network: string, opened: OpenChain): void {
  try {
    opened.root({ checkpoint: null });
    statsOf(opened.codec, network).report();
    const verdict = opened.codec.checkBody(Uint8Array.of(0), { height: null, hash: null }, null);
    if (verdict.ok !== false || typeof verdict.refusal?.code !== "string")
      throw new Error(`checkBody: expected a refusal of one byte, got ${JSON.stringify(verdict)}`);
  } catch (error) {
    const message = `codec(${JSON.stringify(network)}).params: expected those of a ${opened.codec.family} chain, got others: ${messageOf(error)}`;
    throw refused("SHAPE", path, message, error);
  }
}

/** What a family's listeners need beyond a codec they find in those that the kit makes. */
function openAs(family: ChainFamily, codec: ChainCodec, shortName: string): OpenChain {
  if (family === "utxo") return openUtxo(codec as UtxoCodec, shortName);
  return family === "evm" ? openEvm(codec as EvmCodec) : openSvm(codec as SvmCodec);
}

async function definitionOf(path: string, source: ModuleSource): Promise<ChainDefinition> {
  const module = await inTime(path, importSource(source));
  const plugin = (module as { default?: unknown }).default;
  if (typeof plugin !== "function")
    throw refused("SHAPE", path, "expected a default export that is a function of the kit");
  let given: unknown;
  try {
    given = (plugin as ChainPlugin)(CHAIN_KIT);
  } catch (error) {
    throw refused("THREW", path, `its function threw: ${messageOf(error)}`, error);
  }
  if (typeof given !== "object" || given === null)
    throw refused("SHAPE", path, "expected a chain from its function, got none");
  const definition = given as Partial<ChainDefinition>;
  const { api, chain, networks, codec, shortName } = definition;
  if (api !== PLUGIN_API)
    throw refused("API", path, `expected api ${PLUGIN_API}, got ${String(api)}: it is made for another version`);
  if (typeof chain !== "string" || !CHAIN_NAME.test(chain))
    throw refused("SHAPE", path, `chain: expected ${CHAIN_NAME.source}, got ${String(chain)}`);
  if (isBuiltIn(chain))
    throw refused("BUILT_IN", path, `${chain} is built in; a plug-in brings a chain of another name`);
  const named =
    Array.isArray(networks) && networks.length > 0 && networks.every((name) => NETWORK_NAME.test(String(name)));
  if (!named)
    throw refused("SHAPE", path, "networks: expected at least one name of lower-case letters, digits and dashes");
  if (typeof codec !== "function") throw refused("SHAPE", path, "codec: expected a function of a network's name");
  if (shortName !== undefined && !SHORT_NAME.test(shortName))
    throw refused("SHAPE", path, `shortName: expected up to 12 letters and digits, got ${shortName}`);
  return definition as ChainDefinition;
}

async function inTime(path: string, loading: Promise<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(refused("TIMEOUT", path, `expected it to load within ${LOAD_MS} ms`)), LOAD_MS);
  });
  try {
    return await Promise.race([loading, late]);
  } catch (error) {
    if (isSprintError(error)) throw error;
    throw refused("LOAD", path, messageOf(error), error);
  } finally {
    clearTimeout(timer);
  }
}

const METHODS = ["checkHeader", "checkContext", "weight", "toBlock", "withFacts", "checkBody"] as const;
const FAMILIES: readonly unknown[] = ["utxo", "evm", "svm"] satisfies ChainFamily[];

/** The codec of one network, as far as it can be held against the interface without a block. */
function checkedCodec(path: string, definition: ChainDefinition, network: string): ChainCodec {
  let codec: ChainCodec;
  try {
    codec = definition.codec(network);
  } catch (error) {
    throw refused("THREW", path, `codec(${JSON.stringify(network)}) threw: ${messageOf(error)}`, error);
  }
  const wrong = (what: string, expected: string, actual: unknown): SprintError =>
    refused("SHAPE", path, `codec(${JSON.stringify(network)}).${what}: expected ${expected}, got ${String(actual)}`);
  if (typeof codec !== "object" || codec === null) throw wrong("", "an object", codec);
  if (codec.chain !== definition.chain) throw wrong("chain", definition.chain, codec.chain);
  if (codec.network !== network) throw wrong("network", network, codec.network);
  if (!FAMILIES.includes(codec.family)) throw wrong("family", FAMILIES.join(", "), codec.family);
  if (codec.forkChoice !== "work" && codec.forkChoice !== "heads")
    throw wrong("forkChoice", "work or heads", codec.forkChoice);
  if (!(codec.blockTimeSeconds > 0)) throw wrong("blockTimeSeconds", "a number above 0", codec.blockTimeSeconds);
  if (!Number.isInteger(codec.finalityDepth) || codec.finalityDepth < 1)
    throw wrong("finalityDepth", "a whole number above 0", codec.finalityDepth);
  for (const method of METHODS)
    if (typeof codec[method] !== "function") throw wrong(method, "a function", codec[method]);
  if (typeof (codec as { params?: unknown }).params !== "object")
    throw wrong("params", "the parameters it was made by", undefined);
  return codec;
}

function refused(what: string, path: string, message: string, cause?: unknown): SprintError {
  return new SprintError(
    `SPRINT_PLUGIN_${what}`,
    `plug-in ${path}: ${message}`,
    { path },
    cause === undefined ? {} : { cause },
  );
}
