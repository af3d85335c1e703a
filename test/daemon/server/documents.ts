/** The two OpenAPI documents of a daemon, as far as tests and docs/api.md read them. */
import assert from "node:assert/strict";
import { ask } from "./ask.ts";
import type { FakeDaemon } from "./daemon.ts";

export interface Media {
  readonly schema: Readonly<Record<string, unknown>>;
  readonly example?: unknown;
}

export interface Parameter {
  readonly name: string;
  readonly in: "query" | "path";
  readonly required: boolean;
  readonly description?: string;
  readonly schema: Readonly<Record<string, unknown>>;
}

export interface Answer {
  readonly description: string;
  readonly headers?: Readonly<Record<string, { readonly description: string }>>;
  readonly content?: Readonly<Record<string, Media>>;
  readonly "x-sprint-codes"?: readonly string[];
}

export interface Message {
  readonly says: string;
  readonly example: { readonly type: string };
}

export interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean; readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<Record<string, Answer>>;
  readonly "x-sprint-role"?: string;
  readonly "x-sprint-action"?: string;
  readonly "x-sprint-messages"?: Readonly<Record<string, Message>>;
}

export interface Document {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly description: string };
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly security?: unknown;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, object>>;
    readonly securitySchemes?: Readonly<Record<string, { readonly scheme: string }>>;
  };
}

export async function documentsOf(
  daemon: Pick<FakeDaemon, "tier" | "control">,
): Promise<{ readonly tier: Document; readonly control: Document }> {
  const [tier, control] = await Promise.all([
    ask(`${daemon.tier}/openapi.json`),
    ask(`${daemon.control}/openapi.json`),
  ]);
  assert.deepEqual([tier.status, control.status], [200, 200]);
  return { tier: tier.body as Document, control: control.body as Document };
}

export function operationsOf({ paths }: Document) {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      what: `${method.toUpperCase()} ${path}`,
      path,
      method: method.toUpperCase(),
      operation,
    })),
  );
}

/** `schema` with what it refers to put in its place. */
export function resolved(document: Document, schema: unknown): unknown {
  if (typeof schema !== "object" || schema === null) return schema;
  if (Array.isArray(schema)) return schema.map((each) => resolved(document, each));
  const { $ref } = schema as { readonly $ref?: string };
  if ($ref !== undefined) {
    const named = document.components.schemas[$ref.replace("#/components/schemas/", "")];
    return resolved(document, named ?? assert.fail(`nothing at ${$ref}`));
  }
  return Object.fromEntries(Object.entries(schema).map(([key, inner]) => [key, resolved(document, inner)]));
}
