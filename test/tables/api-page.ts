/** docs/api.md from the two OpenAPI documents and the tables that the listeners work by. */
import { STATUS_CODES } from "node:http";
import { ROLES } from "../../src/shared/api.ts";
import { CLOSE } from "../../src/shared/events.ts";
import { TIER, TIERS } from "../../src/shared/tier.ts";
import { CODES } from "../../src/daemon/server/codes.ts";
import { HTTP_LIMITS, SOCKET_LIMITS } from "../../src/daemon/server/options.ts";
import { type Document, type Operation, operationsOf, type Parameter } from "../daemon/server/documents.ts";

const CLOSE_SAYS: Readonly<Record<keyof typeof CLOSE, string>> = {
  SHUTDOWN: "the daemon is shutting down",
  RATE_LIMITED: "reserved; not sent today: what is above the tier's events per second waits",
  SLOW_CONSUMER: "you read more slowly than events come",
  BAD_REQUEST: "reserved; not sent today: a bad request is refused before the upgrade",
  UNSUPPORTED_MESSAGE: "you sent a message; the streams take none",
  CONNECTION_LIMIT: "all places of the control stream are taken",
};

const INTRO = `# The API

What the listeners of \`sprint\` answer, for those who write a client. Written from their own \`/openapi.json\` by \`node test/tables/api.ts\`; ask the daemon for
that document to have every field with its type and bounds. How to start it, and a client of 20 lines: [README](../README.md).`;

const CURSORS = `## Cursors

Each event has a \`cursor\`: opaque, and good on every listener and transport. Come back with the last one (\`?cursor=\`) and you get everything since, in order, reorgs
included, or a \`gap\` that says what is not there any more; never silence. How far back that reaches: [Limits, said plainly](../README.md#limits-said-plainly).`;

const ERRORS = `## Errors

Every error, of REST and of a refused WebSocket handshake, is \`{"error":{"code","message","details"}}\` with the status below. \`code\` is stable; \`message\` says what was
expected, what came and what to do, for a human. 429 and 503 have \`Retry-After\` where a time is known; a 401 has \`WWW-Authenticate\`.`;

const TIERED = `Each tier's listener has all of these. Where the tier has a limit, answers carry \`ratelimit-limit\`, \`ratelimit-remaining\` and \`ratelimit-reset\` (seconds).
Not listed with each route: 429 \`SPRINT_API_RATE_LIMIT\` and \`SPRINT_API_CONNECTION_LIMIT\`, 500 \`SPRINT_API_INTERNAL\`.`;

/** Told once, where the page says so. */
const UNLISTED: readonly string[] = [
  "SPRINT_API_RATE_LIMIT",
  "SPRINT_API_CONNECTION_LIMIT",
  "SPRINT_API_INTERNAL",
  "SPRINT_API_BAD_INPUT",
  "SPRINT_API_BAD_JSON",
  "SPRINT_API_BODY_TOO_LARGE",
  "SPRINT_API_MEDIA_TYPE",
  "SPRINT_CONTROL_NO_TOKEN",
  "SPRINT_CONTROL_WRONG_TOKEN",
  "SPRINT_CONTROL_ROLE",
];

const WIDTH = 150;

export function apiPage({ tier, control }: { readonly tier: Document; readonly control: Document }): string {
  const shown: Shown = new Map();
  const parts = [
    INTRO,
    listeners(),
    `${ERRORS}\n\n${codes()}`,
    limits(),
    CURSORS,
    closeCodes(),
    `## Tier listeners\n\n${TIERED} And 400 \`SPRINT_API_BAD_INPUT\` where there is a parameter or a body, with a body 400 \`SPRINT_API_BAD_JSON\`, 413 and 415.`,
    ...routes(tier, shown),
    `## Control API\n\n${control.info.description.replaceAll("\n", " ").split(" Errors are")[0]}\n\n${roles(control)}`,
    "`{name}` is that of an upstream or breaker, as they are listed. Not listed with each route: 401, 403 (where a role is named), 400 where there is a parameter or a body, 413 and 415 with a body, 500.",
    ...routes(control, shown),
  ];
  return `${parts.join("\n\n")}\n`;
}

// --- Tables

function listeners(): string {
  const rows = TIERS.map((tier) => [`tier ${tier}`, `127.0.0.1:${TIER[tier].port}`, "none"]);
  const all = [...rows, ["control API", "127.0.0.1:8081", "`Authorization: Bearer TOKEN`"]];
  const words = `What the tiers differ in: [Listening](../README.md#listening). \`--host\`, \`--port\` and the configuration move them; \`control.json\` in the data directory says where
they are. There is no TLS here: put a proxy in front.`;
  return `## Listeners\n\n${table(["Listener", "Default", "Authorization"], all)}\n\n${words}`;
}

function codes(): string {
  const rows = Object.entries(CODES).map(([code, { status, means }]) => [String(status), `\`${code}\``, means]);
  return table(["Status", "Code", "Means"], rows);
}

function limits(): string {
  const { bodyBytes, headerBytes, headersTimeoutMs, requestTimeoutMs } = HTTP_LIMITS;
  return `## Limits

A body has at most ${bodyBytes / 1024} KiB (a subscription: 64 KiB; a watch list, JSON-RPC: 256 KiB), the headers ${headerBytes / 1024} KiB; headers must be complete after ${headersTimeoutMs / 1000} s, a request after ${requestTimeoutMs / 1000} s. Calls per
minute are counted by client address, connections by listener; REST, handshakes and the calls of a batch count alike. Health probes are answered whatever the limits say. The
tiers' numbers: [Listening](../README.md#listening). Streams are pinged every ${SOCKET_LIMITS.pingIntervalMs / 1000} s; who has not answered by the next ping is dropped.`;
}

function closeCodes(): string {
  const rows = Object.entries(CLOSE).map(([name, code]) => [
    String(code),
    CLOSE_SAYS[name as keyof typeof CLOSE],
    code < 4_500 ? "come back with the cursor" : "something must change first",
  ]);
  return `## Close codes of the streams\n\n${table(["Code", "Why", "Then"], rows)}`;
}

function roles(control: Document): string {
  const rows = ROLES.map((role) => {
    const may = operationsOf(control).filter(({ operation }) => operation["x-sprint-role"] === role);
    return [role, may.map(({ what }) => `\`${what.replace("/control/v1", "…")}\``).join(", ")];
  });
  return table(["Role", "May, beside what those above it may (`…` is `/control/v1`)"], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n");
}

// --- Routes

/** By tag, in the order of the document's tags. */
function routes(document: Document, shown: Shown): string[] {
  const operations = operationsOf(document).filter(({ operation }) => operation.operationId !== "openapi");
  return document.tags.flatMap(({ name }) =>
    operations
      .filter(({ operation }) => operation.tags.includes(name))
      .map(({ what, operation }) => routeOf(what, operation, shown)),
  );
}

function routeOf(what: string, operation: Operation, shown: Shown): string {
  const { summary, description, parameters = [], requestBody } = operation;
  const messages = operation["x-sprint-messages"];
  const told = parameters.filter(({ in: place, name }) => place === "query" || name !== "name");
  const [words = ""] = description.split("\n\n");
  const body = Object.values(requestBody?.content ?? {})[0]?.example;
  const example = [
    ...(body === undefined ? [] : [`> ${printed(body, shown)}`]),
    ...(messages === undefined ? answersOf(operation, shown) : []),
  ];
  const lines = [
    `${summary}. ${words.replaceAll("\n", " ")}${roleOf(operation)}`,
    ...(told.length === 0 ? [] : [listed("Parameters", told.map(parameterOf))]),
    ...bodyOf(operation),
    ...headersOf(operation),
    ...errorsOf(operation),
    ...(example.length === 1 ? [`- Answer: \`${example[0]}\``] : []),
  ];
  return [
    `### \`${messages === undefined ? what : what.replace("GET", "WS")}\``,
    lines.join("\n"),
    ...(example.length < 2 ? [] : [`\`\`\`\n${example.join("\n")}\n\`\`\``]),
    ...(messages === undefined ? [] : [messagesOf(messages, shown)]),
  ].join("\n\n");
}

/** The least role is every token's: the table of roles says so once. */
function roleOf({ "x-sprint-role": role = ROLES[0], "x-sprint-action": action }: Operation): string {
  const audited = action === undefined ? "" : `, audited as \`${action}\``;
  return role === ROLES[0] ? "" : ` Role: **${role}**${audited}.`;
}

function listed(what: string, items: readonly string[]): string {
  return `- ${what}: ${items.join("; ")}`;
}

function parameterOf({ name, in: place, required, description, schema }: Parameter): string {
  const values = (schema["enum"] as readonly string[] | undefined)?.join(", ");
  const facts = [
    ...(place === "path" || required
      ? []
      : ["default" in schema ? `default ${String(schema["default"])}` : "optional"]),
    ...("maximum" in schema && Number(schema["maximum"]) < 1e6 ? [`at most ${String(schema["maximum"])}`] : []),
  ];
  return `\`${name}\`${facts.length === 0 ? "" : ` (${facts.join(", ")})`}: ${values ?? description}`;
}

/** Fields of a body that has no name of its own, as far as words are needed beside its example. */
function bodyOf({ requestBody }: Operation): string[] {
  const schema = Object.values(requestBody?.content ?? {})[0]?.schema;
  const fields = Object.entries((schema?.["properties"] ?? {}) as Readonly<Record<string, Parameter["schema"]>>);
  const told = fields.flatMap(([name, field]) =>
    typeof field["description"] === "string"
      ? [parameterOf({ name, in: "query", required: false, description: field["description"], schema: field })]
      : [],
  );
  return told.length === 0 ? [] : [listed("Body", told)];
}

function headersOf({ responses }: Operation): string[] {
  const headers = Object.entries(Object.values(responses)[0]?.headers ?? {});
  const own = headers.filter(([name]) => name.startsWith("x-sprint-"));
  return own.length === 0
    ? []
    : ["- Answer headers:", ...own.map(([name, told]) => `  - \`${name}\`: ${told.description}`)];
}

function errorsOf({ responses }: Operation): string[] {
  const told = Object.entries(responses).flatMap(([status, { "x-sprint-codes": some = [] }]) => {
    const own = some.filter((code) => !UNLISTED.includes(code));
    return own.length === 0 ? [] : [`${status} ${own.map((code) => `\`${code}\``).join(", ")}`];
  });
  return told.length === 0 ? [] : [listed("Errors", told)];
}

function answersOf({ responses }: Operation, shown: Shown): string[] {
  return Object.entries(responses).flatMap(([status, { description, content, "x-sprint-codes": failed }]) => {
    if (failed !== undefined) return [];
    const example = Object.values(content ?? {})[0]?.example;
    const head = `${status} ${STATUS_CODES[status]}: ${description}`;
    if (example === undefined) return [head];
    const text = typeof example === "string" ? example.trim() : printed(example, shown);
    return text.length < SHORT ? [`${head}: ${text}`] : [head, text];
  });
}

function messagesOf(messages: NonNullable<Operation["x-sprint-messages"]>, shown: Shown): string {
  const told = Object.entries(messages).map(([type, { says }]) => `- \`${type}\`: ${says}`);
  const examples = Object.values(messages).map(({ example }) => printed(example, shown, { whole: true }));
  return `Messages, one JSON text each:\n\n${told.join("\n")}\n\n\`\`\`\n${examples.join("\n")}\n\`\`\``;
}

// --- Examples

const LONG = 200;
const SHORT = 60;

/** JSON in lines of WIDTH at most; of a long object whose like the page has shown before it tells what is new. */
function printed(example: unknown, shown: Shown, { whole = false } = {}): string {
  const text = whole ? objectOf(Object.entries(example as object), shown) : told(example, shown);
  const lines: string[] = [];
  let line = "";
  for (const piece of text.split(/(?<=,) (?=["{[])/)) {
    if (line !== "" && line.length + piece.length >= WIDTH) {
      lines.push(line);
      line = ` ${piece}`;
    } else line = line === "" ? piece : `${line} ${piece}`;
  }
  return [...lines, line].join("\n");
}

/** Long objects by their members' names, as they were printed last. */
type Shown = Map<string, Readonly<Record<string, unknown>>>;

function told(value: unknown, shown: Shown): string {
  if (Array.isArray(value)) return `[${value.map((each) => told(each, shown)).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const some = newsOf(value as Readonly<Record<string, unknown>>, shown);
  return objectOf(some, shown, some.length === Object.keys(value).length ? [] : ["…"]);
}

function objectOf(members: readonly [string, unknown][], shown: Shown, more: readonly string[] = []): string {
  const inner = members.map(([key, each]) => `${JSON.stringify(key)}: ${told(each, shown)}`);
  return `{${[...inner, ...more].join(", ")}}`;
}

/** All members, or where its like was shown before, the first and those that are otherwise than there. */
function newsOf(value: Readonly<Record<string, unknown>>, shown: Shown): [string, unknown][] {
  const members = Object.entries(value);
  if (JSON.stringify(value).length < LONG) return members;
  const names = Object.keys(value).join();
  const like = shown.get(names);
  if (like === undefined) {
    shown.set(names, value);
    return members;
  }
  return members.filter(([key, each], at) => at === 0 || JSON.stringify(each) !== JSON.stringify(like[key]));
}
