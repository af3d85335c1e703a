/** What any plug-in is held against: its interface, and how its codec behaves on input that is none and on blocks that are. */
import { readFile } from "node:fs/promises";
import { performance } from "node:perf_hooks";
import type { WatchSet } from "../../shared/body.ts";
import { seededRandom } from "../../shared/clock.ts";
import { isSprintError, messageOf } from "../../shared/errors.ts";
import type { BodyVerdict, ChainCodec } from "../chain/index.ts";
import { loadPlugin } from "./load.ts";

export interface PluginCheck {
  readonly check: string;
  readonly ok: boolean;
  readonly found: string;
}

const RANDOM_BODIES = 2_000;
const MAX_RANDOM_BYTES = 4_096;
/** One body of garbage; a proof thread has 30 s for a real one. */
const MAX_GARBAGE_MS = 1_000;
const NOTHING: WatchSet = { items: new Set(), topics: new Set(), outpoints: new Map() };

/** `blocks`: a file of JSON, an array of bodies as the family's `checkBody` takes them as text, parents first; null where there is none. */
export async function checkPlugin(path: string, blocks: string | null): Promise<readonly PluginCheck[]> {
  const checks: PluginCheck[] = [];
  const hold = async (check: string, test: () => string | Promise<string>): Promise<boolean> => {
    try {
      checks.push({ check, ok: true, found: await test() });
      return true;
    } catch (error) {
      const code = isSprintError(error) ? `${error.code}: ` : "";
      checks.push({ check, ok: false, found: `${code}${messageOf(error)}` });
      return false;
    }
  };
  let codec: ChainCodec | null = null;
  await hold("it loads, and its codecs have the interface", async () => {
    const row = await loadPlugin(path, Date.now());
    const again = await loadPlugin(path, Date.now() + 1);
    if (again.chain !== row.chain) throw new Error(`loaded again it is ${again.chain}, at first it was ${row.chain}`);
    codec = row.open(row.networks[0] ?? "").codec;
    return `${row.chain}, family ${row.family}`;
  });
  const opened = codec as ChainCodec | null;
  if (opened === null) return checks;
  await hold("a body that is none is refused, never thrown at", () => garbage(opened));
  if (blocks !== null)
    await hold("recorded blocks hold, twice alike, and are taken for no other", () => recorded(opened, blocks));
  return checks;
}

function garbage(codec: ChainCodec): string {
  const random = seededRandom(1);
  let slowestMs = 0;
  for (let run = 0; run < RANDOM_BODIES; run++) {
    const raw = Uint8Array.from({ length: Math.floor(random() * MAX_RANDOM_BYTES) }, () => Math.floor(random() * 256));
    const verdict = timed(
      () => codec.checkBody(raw, { height: 1, hash: null }, NOTHING),
      (ms) => (slowestMs = Math.max(slowestMs, ms)),
    );
    if (!isVerdict(verdict))
      throw new Error(`expected a verdict for ${raw.length} random bytes, got ${JSON.stringify(verdict)}`);
    if (verdict.ok) throw new Error(`${raw.length} random bytes were taken for a block`);
  }
  if (slowestMs > MAX_GARBAGE_MS)
    throw new Error(`the slowest took ${Math.round(slowestMs)} ms, expected at most ${MAX_GARBAGE_MS}`);
  return `${RANDOM_BODIES} bodies of random bytes refused, the slowest in ${slowestMs.toFixed(1)} ms`;
}

async function recorded(codec: ChainCodec, file: string): Promise<string> {
  const bodies: unknown = JSON.parse(await readFile(file, "utf8"));
  if (!Array.isArray(bodies) || bodies.length === 0) throw new Error(`expected a JSON array of bodies in ${file}`);
  for (const [index, body] of bodies.entries()) {
    const text = Buffer.from(JSON.stringify(body));
    const place = { height: null, hash: null };
    const [first, second] = [codec.checkBody(text, place, NOTHING), codec.checkBody(text, place, NOTHING)];
    if (!isVerdict(first) || !first.ok)
      throw new Error(`block ${index}: expected it to hold, got ${JSON.stringify(first)}`);
    if (JSON.stringify(first, textOfBig) !== JSON.stringify(second, textOfBig))
      throw new Error(`block ${index}: two verdicts on the same bytes differ`);
    const other = codec.checkBody(text, { height: null, hash: "0".repeat(64) }, NOTHING);
    if (other.ok) throw new Error(`block ${index} was taken for another one, 000…`);
  }
  return `${bodies.length} blocks`;
}

function timed<T>(work: () => T, tell: (ms: number) => void): T {
  const from = performance.now();
  const result = work();
  tell(performance.now() - from);
  return result;
}

function isVerdict(value: unknown): value is BodyVerdict {
  if (typeof value !== "object" || value === null || !("ok" in value)) return false;
  const { ok, facts, refusal } = value as { ok: unknown; facts?: unknown; refusal?: { code?: unknown } };
  return ok === true ? typeof facts === "object" : ok === false && typeof refusal?.code === "string";
}

function textOfBig(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}` : value;
}
