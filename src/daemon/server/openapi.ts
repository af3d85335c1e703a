/**
 * A listener's OpenAPI document: routes and their schemas as @fastify/swagger collects them, with the words, codes and examples of the listener's
 * own table. What a user reads as an error's meaning comes from `codes.ts`, what a role may do from `access.ts`.
 */
import { STATUS_CODES } from "node:http";
import swagger from "@fastify/swagger";
import * as api from "../../shared/api.ts";
import type { ErrorBody } from "../../shared/api.ts";
import { type AnsweredCode, CODES } from "./codes.ts";
import type { App } from "./http.ts";

/** What a route is told as. Parameters and the shapes of its bodies are in its schema. */
export interface Operation {
  readonly tag: string;
  readonly summary: string;
  readonly description: string;
  /** What it answers when it can, by status; where a status is missing, that status's name. */
  readonly says: Readonly<Record<number, string>>;
  /** Errors beyond those of every route of the listener. */
  readonly codes?: readonly AnsweredCode[];
  /** Errors whose body may have the shape of the answer instead, by status. */
  readonly alsoOn?: Readonly<Record<number, string>>;
  /** Of the answer, where it is no JSON. */
  readonly media?: string;
  /** Of the answer. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Examples of body and answer. */
  readonly request?: unknown;
  readonly answer?: unknown;
}

/** Method and pattern, as in `GET /api/v1/blocks/:hash`. */
export type Operations = Readonly<Record<string, Operation>>;

export interface Message {
  readonly says: string;
  readonly example: unknown;
}

/** A WebSocket, which OpenAPI has no words for: told as the GET that opens it. */
export interface Stream extends Operation {
  readonly path: string;
  readonly query: Readonly<Record<string, Schema>>;
  /** By type. */
  readonly messages: Readonly<Record<string, Message>>;
}

/** What a listener does with a route whatever the route does. */
export interface Rules {
  readonly codes: readonly AnsweredCode[];
  /** Added to the route's description. */
  readonly note?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** `x-` fields of the operation. */
  readonly extensions?: Readonly<Record<string, unknown>>;
}

export interface DescribedRoute {
  readonly method: string;
  readonly url: string;
  readonly takesInput: boolean;
  readonly takesBody: boolean;
  /** Answered whatever the limits say. */
  readonly isExempt: boolean;
}

export interface DocumentOptions {
  readonly title: string;
  readonly version: string;
  readonly description: string;
  /** What a tag stands for. */
  readonly tags: Readonly<Record<string, string>>;
  readonly isSecured: boolean;
  /** Pattern of each path by the name that its operation has. */
  readonly routes: Readonly<Record<string, string>>;
  readonly operations: Operations;
  readonly stream: Stream;
  readonly rulesOf: (route: DescribedRoute) => Rules;
}

export interface Schema {
  readonly description?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly [keyword: string]: unknown;
}

interface Media {
  readonly schema: Schema;
  readonly example?: unknown;
}

interface Answer {
  readonly description: string;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly content?: Readonly<Record<string, Media>>;
}

interface RequestBody {
  readonly required: boolean;
  readonly content: Readonly<Record<string, Media>>;
}

interface Described {
  parameters?: { readonly name: string; required: boolean; readonly schema: Schema }[];
  requestBody?: RequestBody;
  responses: Record<string, Answer>;
  [field: string]: unknown;
}

const JSON_MEDIA = "application/json";
const LICENSE = { name: "Apache-2.0", identifier: "Apache-2.0" };
const BEARER = { type: "http", scheme: "bearer", description: "a token of the configuration, or the one in .cookie" };

/**
 * Collects what is added to `app` from here on, for `app.swagger()`. Made before the port opens: at the first question it would hold up blocks for
 * some 20 ms, and a route without words would not be found out until then.
 */
export async function documentRoutes(app: App, options: DocumentOptions): Promise<void> {
  const { title, version, description, tags, isSecured, operations, stream, rulesOf } = options;
  const idOf = new Map(Object.entries(options.routes).map(([name, path]) => [path, name]));
  /** A path's name; of what else it is asked by than GET, the method before it. */
  const operationId = ({ method, url }: DescribedRoute): string => {
    const name = idOf.get(url) ?? "";
    const isNamesake = method !== "GET" && operations[`GET ${url}`] !== undefined;
    const isAnother = method === "DELETE" && operations[`POST ${url}`] !== undefined;
    return isNamesake || isAnother ? `${method.toLowerCase()}${name.charAt(0).toUpperCase()}${name.slice(1)}` : name;
  };
  const secured = isSecured ? { security: [{ token: [] }] } : {};
  const routes: DescribedRoute[] = [];
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title, version, description, license: LICENSE },
      tags: Object.entries(tags).map(([name, told]) => ({ name, description: told })),
      components: { schemas: bodies(), ...(isSecured ? { securitySchemes: { token: BEARER } } : {}) },
      ...secured,
    } as never,
    transform: ({ schema, url, route }) => {
      routes.push({
        method: String(route.method),
        url,
        takesInput: [schema?.params, schema?.querystring, schema?.body].some((part) => part !== undefined),
        takesBody: schema?.body !== undefined,
        isExempt: route.config?.rateLimit === false,
      });
      return { schema, url };
    },
    transformObject: (collected) => {
      const document = (collected as unknown as { openapiObject: Document }).openapiObject;
      for (const route of routes) {
        const { method, url } = route;
        const item = document.paths[pathOf(url)];
        const described = item?.[method.toLowerCase()];
        const operation = operations[`${method} ${url}`];
        if (item === undefined || described === undefined || operation === undefined)
          throw new Error(`${method} ${url} is not described`);
        item[method.toLowerCase()] = { operationId: operationId(route), ...tell(described, operation, rulesOf(route)) };
      }
      const upgrade = tellStream(stream, rulesOf(upgradeOf(stream)));
      document.paths[stream.path] = { get: { operationId: idOf.get(stream.path), ...upgrade } };
      return withReferences(document) as never;
    },
  });
  app.addHook("onReady", async () => void app.swagger());
}

interface Document {
  readonly paths: Record<string, Record<string, Described>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** `/blocks/:hash` → `/blocks/{hash}` */
function pathOf(url: string): string {
  return url.replace(/:(\w+)/g, "{$1}");
}

function tell(described: Described, operation: Operation, rules: Rules): Described {
  const { parameters, requestBody } = described;
  const answers = successes(described.responses, operation, rules);
  const errors = failures([...rules.codes, ...(operation.codes ?? [])]);
  for (const [status, says] of Object.entries(operation.alsoOn ?? {})) {
    const [answer] = Object.values(answers);
    const error = errors[status];
    if (answer === undefined || error === undefined) throw new Error(`${operation.summary}: no ${status}`);
    errors[status] = alsoAs(answer, error, says);
  }
  return {
    ...wordsOf(operation, rules),
    ...(parameters === undefined ? {} : { parameters: parameters.map(optionalByDefault) }),
    ...(requestBody === undefined ? {} : { requestBody: tellBody(requestBody, operation) }),
    responses: { ...answers, ...errors },
  };
}

function alsoAs(answer: Answer, error: Answer, says: string): Answer {
  const shapes = [error, answer].map(({ content }) => content?.[JSON_MEDIA]?.schema);
  return {
    ...error,
    description: `${error.description}\n\nOr, ${says}`,
    content: { [JSON_MEDIA]: { schema: { anyOf: shapes } } },
  };
}

function wordsOf({ tag, summary, description }: Operation, { note, extensions }: Rules) {
  return {
    tags: [tag],
    summary,
    description: note === undefined ? description : `${description}\n\n${note}`,
    ...extensions,
  };
}

function optionalByDefault<T extends { required: boolean; readonly schema: Schema }>(parameter: T): T {
  return "default" in parameter.schema ? { ...parameter, required: false } : parameter;
}

/** A field that has a default is required of what the daemon works with, not of what a client sends. */
function tellBody(body: RequestBody, operation: Operation): RequestBody {
  const content = Object.entries(body.content).map(([type, { schema }]) => {
    const { required = [], ...rest } = schema;
    const asked = required.filter((name) => !("default" in (schema.properties?.[name] ?? {})));
    const told = asked.length === 0 ? rest : { ...rest, required: asked };
    return [type, { schema: told, ...example(operation.request) }] as const;
  });
  const needed = content.some(
    ([, { schema }]) => "required" in schema || "minProperties" in schema || "anyOf" in schema,
  );
  return { required: needed, content: Object.fromEntries(content) };
}

function successes(collected: Described["responses"], operation: Operation, rules: Rules): Record<string, Answer> {
  const { says, answer, media = JSON_MEDIA } = operation;
  const headers = headersOf({ ...rules.headers, ...operation.headers });
  const told = Object.entries(says).map(([status, description], at) => {
    const schema = collected[status]?.content?.[JSON_MEDIA]?.schema ?? unshaped(media);
    const content = { [media]: { schema, ...(at === 0 ? example(answer) : {}) } };
    return [status, { description, ...headers, ...(status === "204" || status === "101" ? {} : { content }) }] as const;
  });
  return Object.fromEntries(told);
}

function unshaped(media: string): Schema {
  return { type: media === JSON_MEDIA ? "object" : "string" };
}

function failures(codes: readonly AnsweredCode[]): Record<string, Answer> {
  const byStatus = Object.groupBy(new Set(codes), (code) => String(CODES[code].status));
  const told = Object.entries(byStatus).map(([status, some = []]) => [
    status,
    {
      description: `${STATUS_CODES[status]}\n\n${some.map((code) => `- \`${code}\`: ${CODES[code].means}`).join("\n")}`,
      ...(RETRIED.includes(status) ? headersOf({ "retry-after": "seconds to wait, where that is known" }) : {}),
      content: { [JSON_MEDIA]: { schema: refTo("Error"), example: errorOf(some[0]) } },
      "x-sprint-codes": some,
    },
  ]);
  return Object.fromEntries(told);
}

const RETRIED = ["429", "503"];

function errorOf(code: AnsweredCode | undefined): ErrorBody | undefined {
  return code === undefined ? undefined : { error: { code, message: CODES[code].means, details: {} } };
}

function headersOf(headers: Readonly<Record<string, string>>): { headers?: Record<string, unknown> } {
  const told = Object.entries(headers).map(([name, description]) => [
    name,
    { description, schema: { type: "string" } },
  ]);
  return told.length === 0 ? {} : { headers: Object.fromEntries(told) };
}

function example(value: unknown): { example?: unknown } {
  return value === undefined ? {} : { example: value };
}

// --- The stream

function upgradeOf({ path, query }: Stream): DescribedRoute {
  return { method: "GET", url: path, takesInput: Object.keys(query).length > 0, takesBody: false, isExempt: false };
}

function tellStream(stream: Stream, rules: Rules): Described {
  const { query, messages } = stream;
  const parameters = Object.entries(query).map(([name, { description, ...schema }]) => ({
    in: "query",
    name,
    required: false,
    schema,
    ...(description === undefined ? {} : { description }),
  }));
  const told = Object.entries(messages).map(([type, { says }]) => `- \`${type}\`: ${says}`);
  const { description, ...words } = wordsOf(stream, rules);
  return {
    ...words,
    description: `${description}\n\nMessages, one JSON text each:\n${told.join("\n")}`,
    ...(parameters.length === 0 ? {} : { parameters }),
    responses: {
      ...successes({}, stream, { ...rules, headers: {} }),
      ...failures([...rules.codes, ...(stream.codes ?? [])]),
    },
    "x-sprint-messages": messages,
  };
}

// --- Named schemas

/** The bodies of the contract under their names: `BlockBody` is `Block`. */
function bodies(): Record<string, Schema> {
  const named = Object.entries(api).filter(([name]) => name.endsWith("Body"));
  return Object.fromEntries(
    named.map(([name, schema]) => [name.slice(0, -"Body".length), schema as unknown as Schema]),
  );
}

function refTo(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** Where a body of the contract stands within the document, a reference to it does instead; those that nothing refers to are left out. */
function withReferences(document: Document): unknown {
  const { schemas, ...components } = document.components;
  const nameOf = new Map(Object.entries(schemas).map(([name, schema]) => [JSON.stringify(schema), name]));
  const used = new Map<string, unknown>();
  const visit = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(visit);
    const name = nameOf.get(JSON.stringify(value));
    if (name === undefined) return inside(value);
    use(name);
    return refTo(name);
  };
  const inside = (value: object): object =>
    Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, key === "example" ? inner : visit(inner)]));
  const use = (name: string): void => {
    if (used.has(name)) return;
    used.set(name, null);
    used.set(name, inside(schemas[name] ?? {}));
  };
  use("Error");
  const paths = visit(document.paths);
  const sorted = [...used].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { ...document, paths, components: { ...components, schemas: Object.fromEntries(sorted) } };
}
