/**
 * The house's rules as functions of source text, so that each can be shown a bad example. Input: path (from the repository's
 * root, with forward slashes) → source. Output: one sentence a violation.
 */
import { posix } from "node:path";

export type Sources = ReadonlyMap<string, string>;

/** The floors. A room that is not in this table is a violation itself: nobody moves in without saying where. */
export const FLOORS: Readonly<Record<string, number>> = {
  shared: 0,
  chain: 1,
  wire: 1,
  relay: 1,
  breaker: 1,
  stats: 1,
  watch: 1,
  observe: 1,
  prove: 2,
  upstream: 2,
  devnet: 2,
  server: 3,
  proxy: 3,
  config: 3,
  inspect: 3,
  line: 4,
  plugins: 5,
  /** The files that stand directly in src/daemon: composition root, registries. */
  daemon: 6,
  cli: 7,
  main: 8,
};

/** These read no clock, no randomness, no process, no console, no socket; Clock and Random come in as parameters. */
const PURE_ROOMS = ["chain", "wire", "relay", "breaker", "stats", "watch"];
/** What they may import from outside: functions of their arguments. */
const PURE_MODULES: Readonly<Record<string, readonly string[]>> = {
  chain: [
    "node:crypto",
    "@noble/hashes/blake3.js",
    "@noble/curves/bls12-381.js",
    "@noble/curves/secp256k1.js",
    "@scure/base",
    "@scure/bip32",
  ],
  wire: ["node:crypto"],
};
/** Files imported one by one; the others have a door. */
const ROOMS_WITHOUT_DOOR = ["shared", "daemon", "main"];

export interface Import {
  readonly from: string;
  /** As written. */
  readonly specifier: string;
  /** Erased before the program runs. */
  readonly typeOnly: boolean;
}

// --- reading source

/**
 * `source` with comments and the text of templates blanked out, and with `strings: false` the contents of strings and
 * regular expressions too; positions and lines stay. Code inside a template's `${}` stays visible.
 */
export function bare(source: string, options: { readonly strings: boolean }): string {
  let out = "";
  let i = 0;
  let lastWord = "";
  const templates: number[] = [];
  let depth = 0;
  const blank = (text: string): string => text.replace(/[^\n]/g, " ");
  const literal = (text: string): string => (options.strings ? text : text[0] + blank(text.slice(1, -1)) + text.at(-1));
  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = i;
    const match = pattern.exec(source)?.[0] ?? null;
    if (match !== null) i += match.length;
    return match;
  };
  while (i < source.length) {
    const comment = take(/\/\/[^\n]*|\/\*[\s\S]*?\*\//y);
    if (comment !== null) {
      out += blank(comment);
      continue;
    }
    const quoted = take(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/y);
    if (quoted !== null) {
      out += literal(quoted);
      lastWord = '"';
      continue;
    }
    const closesHole = source[i] === "}" && templates.at(-1) === depth;
    if (source[i] === "`" || closesHole) {
      if (closesHole) templates.pop();
      const chunk = take(/[`}](?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{)/y) ?? source[i++] ?? "";
      if (chunk.endsWith("${")) templates.push(depth);
      out += chunk[0] + blank(chunk.slice(1, -1)) + chunk.at(-1);
      lastWord = chunk.endsWith("${") ? "{" : "`";
      continue;
    }
    // A slash after an operator or a keyword begins a regular expression, after a value it divides.
    if (source[i] === "/" && /^(?:[([{,;=:!&|?+*~^<>%-]|return|typeof|case|in|of|)$/.test(lastWord)) {
      const expression = take(/\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y);
      if (expression !== null) {
        out += options.strings ? expression : blank(expression);
        lastWord = '"';
        continue;
      }
    }
    const word = take(/[\w$]+/y);
    if (word !== null) {
      out += word;
      lastWord = word;
      continue;
    }
    const char = source[i++] ?? "";
    if (char === "{") depth++;
    if (char === "}") depth--;
    if (/\S/.test(char)) lastWord = char;
    out += char;
  }
  return out;
}

const STATIC =
  /\b(import|export)\s+(type\s+)?((?:[\w*$]+\s*,?\s*)?(?:\*\s+as\s+[\w$]+|\{[^}]*\})?|\*)\s*from\s*["']([^"']+)["']/g;
const SIDE_EFFECT = /\bimport\s*["']([^"']+)["']/g;
const DYNAMIC = /(\btypeof\s+)?\bimport\(\s*["']([^"']+)["']/g;
/** How worker threads and child processes name their entry file. */
const ENTRY = /\bnew\s+URL\(\s*["'](\.[^"']+\.[jt]s)["']\s*,\s*import\.meta\.url/g;

export function importsOf(from: string, source: string): readonly Import[] {
  const text = bare(source, { strings: true });
  const found: Import[] = [];
  for (const [, , typeKeyword, names = "", specifier = ""] of text.matchAll(STATIC)) {
    const named = /^\{([^}]*)\}$/.exec(names.trim())?.[1];
    const entries = (named ?? "")
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "");
    const allTypes = named !== undefined && entries.length > 0 && entries.every((name) => name.startsWith("type "));
    found.push({ from, specifier, typeOnly: typeKeyword !== undefined || allTypes });
  }
  for (const [, specifier = ""] of text.matchAll(SIDE_EFFECT)) found.push({ from, specifier, typeOnly: false });
  for (const [, type, specifier = ""] of text.matchAll(DYNAMIC))
    found.push({ from, specifier, typeOnly: type !== undefined });
  for (const [, specifier = ""] of text.matchAll(ENTRY)) found.push({ from, specifier, typeOnly: false });
  return found;
}

function targetOf({ from, specifier }: Import): string | null {
  return specifier.startsWith(".") ? posix.join(posix.dirname(from), specifier) : null;
}

/** `src/daemon/relay/hub.ts` → "relay", `src/daemon/pipeline.ts` → "daemon", `src/shared/tier.ts` → "shared". */
export function roomOf(path: string): string {
  const [, program = "", ...rest] = path.split("/");
  if (program !== "daemon") return program;
  if (rest.length > 1) return rest[0] ?? "";
  return rest[0] === "main.ts" ? "main" : "daemon";
}

function allImports(sources: Sources): readonly (Import & { readonly target: string | null })[] {
  return [...sources].flatMap(([path, source]) =>
    importsOf(path, source).map((each) => ({ ...each, target: targetOf(each) })),
  );
}

// --- the rules

/** Rule 1: imports go down, never up, never sideways; types count. */
export function floorViolations(sources: Sources): readonly string[] {
  const violations: string[] = [];
  for (const path of sources.keys()) {
    if (FLOORS[roomOf(path)] === undefined)
      violations.push(`${path}: the room "${roomOf(path)}" is in no floor's table`);
  }
  for (const { from, target, specifier } of allImports(sources)) {
    if (target === null) continue;
    const [own, other] = [roomOf(from), roomOf(target)];
    if (!target.startsWith("src/")) violations.push(`${from} imports ${specifier}, which is outside src`);
    else if (own !== other && !((FLOORS[own] ?? -1) > (FLOORS[other] ?? Infinity))) {
      violations.push(
        `${from} (${own}, floor ${FLOORS[own]}) imports ${target} (${other}, floor ${FLOORS[other]}): imports go down`,
      );
    }
  }
  return violations;
}

/** Rule 2: outside code uses the door, inside code never does; every target exists. */
export function doorViolations(sources: Sources): readonly string[] {
  const violations: string[] = [];
  for (const { from, target, specifier } of allImports(sources)) {
    if (target === null || !target.startsWith("src/")) continue;
    const other = roomOf(target);
    const isDoor = posix.basename(target) === "index.ts";
    if (!sources.has(target)) violations.push(`${from} imports ${specifier}, and there is no such file`);
    else if (ROOMS_WITHOUT_DOOR.includes(other)) continue;
    else if (roomOf(from) === other && isDoor) violations.push(`${from} imports the door of its own room`);
    else if (roomOf(from) !== other && !isDoor) violations.push(`${from} imports ${target} past the door of ${other}`);
  }
  return violations;
}

/** Rule 2: no file depends on itself, by whatever detour; types count. */
export function cycles(sources: Sources): readonly string[] {
  const edges = Map.groupBy(allImports(sources), (each) => each.from);
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) {
      found.push([...trail.slice(at), path].join(" → "));
      return;
    }
    if (done.has(path)) return;
    for (const { target } of edges.get(path) ?? []) if (target !== null) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of sources.keys()) visit(path, []);
  return found;
}

/** Rule 3: the edge knows floor 2 by its types only; the companions know shared only. */
export function narrowViolations(sources: Sources): readonly string[] {
  return allImports(sources).flatMap(({ from, target, typeOnly }) => {
    if (target === null || !target.startsWith("src/")) return [];
    const [own, other] = [roomOf(from), roomOf(target)];
    if (own === "server" && FLOORS[other] === 2 && !typeOnly) return [`${from} imports more than types from ${target}`];
    const isCompanion = ["monitor", "loadtest", "chaos"].includes(own);
    return isCompanion && other !== own && other !== "shared"
      ? [`${from} imports ${target}: companions import shared only`]
      : [];
  });
}

const IMPURE: readonly (readonly [RegExp, string])[] = [
  [/\bDate\s*\.\s*now\b|\bnew\s+Date\s*(?:\(\s*\)|(?!\s*\())/, "reads the wall clock"],
  [/\bperformance\b/, "reads the monotonic clock"],
  [/\bMath\s*\.\s*random\b|\brandom(?:Bytes|UUID|Int|FillSync)\b|\bgetRandomValues\b/, "makes its own randomness"],
  [/(?<![.\w$])process\s*[.[]/, "reads the process"],
  [/(?<![.\w$])console\s*[.[]/, "writes to the console"],
  [/(?<![.\w$])(?:setTimeout|setInterval|setImmediate)\s*\(/, "starts a timer"],
  [/(?<![.\w$])(?:fetch|WebSocket|EventSource)\b\s*\(/, "opens a connection"],
];

/** Rule 4: the same input gives the same run. */
export function impurities(sources: Sources): readonly string[] {
  const violations: string[] = [];
  for (const [path, source] of sources) {
    const room = roomOf(path);
    if (!PURE_ROOMS.includes(room)) continue;
    const lines = bare(source, { strings: false }).split("\n");
    lines.forEach((line, i) => {
      for (const [pattern, what] of IMPURE) {
        if (pattern.test(line)) violations.push(`${path}:${i + 1} ${what}: it belongs to a pure room`);
      }
    });
    for (const { specifier } of importsOf(path, source)) {
      const allowed = specifier.startsWith(".") || (PURE_MODULES[room] ?? []).includes(specifier);
      if (!allowed) violations.push(`${path} imports ${specifier}: a pure room does not`);
    }
  }
  return violations;
}

/** Packages that the program needs and its package.json does not name: there today by luck, gone with another's update. */
export function undeclared(sources: Sources, declared: readonly string[]): readonly string[] {
  return allImports(sources).flatMap(({ from, specifier, target }) => {
    const name = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
    if (target !== null || specifier.startsWith("node:") || declared.includes(name)) return [];
    return [`${from} imports ${specifier}, which is no dependency of package.json`];
  });
}

const EMPTY_WORDS = /(?:^|[-_.])(?:utils?|commons?|helpers?|managers?|base|misc)(?=[-_.]|$)/i;
const EMPTY_NAMES =
  /\b(?:class|function|const|let|interface|type)\s+(\w*(?:Manager|Helper|Utils?|Misc)(?:s|[A-Z]\w*)?)\b/g;

/** Words that say nothing, in the names of files and of what they declare. */
export function emptyNames(sources: Sources): readonly string[] {
  return [...sources].flatMap(([path, source]) => {
    const inPath = path.split("/").filter((part) => EMPTY_WORDS.test(part));
    const declared = [...bare(source, { strings: false }).matchAll(EMPTY_NAMES)].map(([, name]) => name);
    return [...inPath, ...declared].map((name) => `${path}: "${name}" says nothing; name what it does`);
  });
}

/** Relative links of a Markdown file that lead nowhere. */
export function deadLinks(markdown: string, exists: (path: string) => boolean): readonly string[] {
  const text = markdown.replace(/^```[\s\S]*?^```/gm, "").replace(/`[^`\n]*`/g, "");
  const targets = [...text.matchAll(/\[[^\]]*\]\(([^)\s]+)[^)]*\)/g)].map(([, target = ""]) => target);
  return targets.filter((target) => !/^[a-z]+:|^#/i.test(target) && !exists(target.replace(/#.*$/, "")));
}
