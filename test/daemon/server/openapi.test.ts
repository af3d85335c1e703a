import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { Compile } from "typebox/schema";
import { CONTROL_ROUTES, TIER_ROUTES } from "../../../src/shared/api.ts";
import { EVENT_TYPES } from "../../../src/shared/events.ts";
import { accessOf } from "../../../src/daemon/server/access.ts";
import { CODES } from "../../../src/daemon/server/codes.ts";
import { controlDocument } from "../../../src/daemon/server/control-document.ts";
import { createApp } from "../../../src/daemon/server/http.ts";
import { documentRoutes } from "../../../src/daemon/server/openapi.ts";
import { HTTP_LIMITS } from "../../../src/daemon/server/options.ts";
import { deadLinks } from "../../house/rules.ts";
import { apiPage } from "../../tables/api-page.ts";
import { ask, post } from "./ask.ts";
import { type Document, documentsOf, type Operation, operationsOf, resolved } from "./documents.ts";
import { startFake, VIEWER } from "./daemon.ts";

const { tier, control } = await documents();

async function documents(): Promise<{ tier: Document; control: Document }> {
  await using daemon = await startFake();
  return await documentsOf(daemon);
}

const BOTH = [
  { name: "tier", document: tier, routes: TIER_ROUTES },
  { name: "control", document: control, routes: CONTROL_ROUTES },
] as const;

for (const { name, document, routes } of BOTH) {
  test(`${name}: every route is described, and nothing else is`, () => {
    assert.equal(document.openapi, "3.1.0");
    const expected = Object.values(routes).map((path) => path.replace(/:(\w+)/g, "{$1}"));
    assert.deepEqual(Object.keys(document.paths).sort(), expected.sort());
    const tags = document.tags.map((tag) => tag.name);
    const ids = operationsOf(document).map(({ operation }) => operation.operationId);
    assert.equal(new Set(ids).size, ids.length, "no two operations have the same id");
    const named = ids.map((id) =>
      id.replace(/^(post|delete)([A-Z])/, (_, _method, first: string) => first.toLowerCase()),
    );
    assert.deepEqual([...new Set(named)].sort(), Object.keys(routes).sort());
    for (const { what, operation } of operationsOf(document)) {
      assert.ok(operation.summary.length > 5 && operation.description.length > 5, what);
      assert.ok(
        operation.tags.every((tag) => tags.includes(tag)),
        what,
      );
      for (const { name: parameter, description } of operation.parameters ?? [])
        assert.ok((description ?? "").length > 5, `${what}: ${parameter}`);
      for (const [status, answer] of Object.entries(operation.responses)) {
        assert.match(status, /^[1-5]\d\d$/, what);
        assert.ok(answer.description.length > 3 && answer.description !== "Default Response", `${what} ${status}`);
      }
    }
  });

  test(`${name}: every reference resolves, every named schema is referred to`, () => {
    const found = new Set([...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)].map(([, ref]) => ref));
    const named = Object.keys(document.components.schemas).map((schema) => `#/components/schemas/${schema}`);
    assert.deepEqual([...found].sort(), named.sort());
    assert.ok(named.length > 10);
  });

  test(`${name}: every example is what its schema says`, () => {
    let examples = 0;
    for (const { what, operation } of operationsOf(document)) {
      for (const { schema, example } of mediaOf(operation)) {
        if (example === undefined) continue;
        examples++;
        assert.deepEqual(faults(document, schema, example), [], what);
      }
    }
    assert.ok(examples > 60, `${examples}`);
    assert.equal(faults(document, { $ref: "#/components/schemas/Error" }, { error: { code: 5 } }).length > 0, true);
  });

  test(`${name}: every answer that has a body has an example`, () => {
    const without = operationsOf(document).filter(({ operation }) =>
      Object.entries(operation.responses).some(
        ([status, { content = {} }]) =>
          status.startsWith("20") && Object.values(content).some((media) => media.example === undefined),
      ),
    );
    assert.deepEqual(
      without.map(({ path }) => path),
      [routes.openapi],
    );
  });

  test(`${name}: each type of message of the stream is told, with an example of its type`, () => {
    const path = name === "tier" ? TIER_ROUTES.events : CONTROL_ROUTES.stream;
    const operation = document.paths[path]?.["get"];
    const messages = operation?.["x-sprint-messages"] ?? {};
    for (const [type, { says, example }] of Object.entries(messages)) {
      assert.equal(example.type, type);
      assert.match(operation?.description ?? "", new RegExp(`- \`${type}\`: .`));
      assert.ok(says.length > 10);
    }
    if (name === "tier") assert.deepEqual(Object.keys(messages).sort(), [...EVENT_TYPES].sort());
    else assert.deepEqual(Object.keys(messages).length, 6);
  });
}

function mediaOf(operation: Operation) {
  const answers = Object.values(operation.responses).map(({ content }) => content);
  return [operation.requestBody?.content, ...answers].flatMap((content) => Object.values(content ?? {}));
}

function faults(document: Document, schema: object, value: unknown): unknown[] {
  return [...Compile(resolved(document, schema) as never).Errors(value)[1]];
}

test("what a field's default fills in is not asked of the client", () => {
  const limit = tier.paths["/api/v1/chains/{chain}/blocks"]?.["get"]?.parameters?.find((each) => each.name === "limit");
  assert.deepEqual([limit?.required, limit?.schema["maximum"]], [false, 500]);
  const force = control.paths["/control/v1/breakers/{name}/force-open"]?.["post"]?.requestBody;
  assert.equal(force?.required, false);
  assert.ok(!("required" in (force?.content["application/json"]?.schema ?? { required: [] })));
  assert.equal(tier.paths["/api/v1/chains/{chain}/rpc"]?.["post"]?.requestBody?.required, true);
});

/** What a question cannot do without. */
const QUERIES: Readonly<Record<string, string>> = {
  [CONTROL_ROUTES.race]: "?chain=bitcoin",
  "/api/v1/chains/{chain}/watch/{id}/matches": "?from=100",
  "/api/v1/chains/{chain}/watch/{id}/unspent": `?item=0014${"07".repeat(20)}`,
};

test("answers of the running listeners are what the documents say", async () => {
  await using daemon = await startFake({ mined: 3 });
  const names: Readonly<Record<string, string>> = {
    hash: daemon.chain.records("bitcoin")[0]?.block.hash ?? "",
    chain: "bitcoin",
    name: "upstream:litecoin:ltc-1",
    id: "cold",
  };
  const script = `0014${"07".repeat(20)}`;
  const watched = await post(`${daemon.tier}/api/v1/chains/bitcoin/watch`, { id: "cold", scripts: [script] });
  assert.equal(watched.status, 201, JSON.stringify(watched.body));
  let asked = 0;
  for (const { name, document } of BOTH) {
    const origin = name === "tier" ? daemon.tier : daemon.control;
    for (const { what, path, method, operation } of operationsOf(document)) {
      if (method !== "GET" || "101" in operation.responses) continue;
      const query = QUERIES[path] ?? "";
      const answer = await ask(origin + path.replace(/\{(\w+)\}/g, (_, field: string) => names[field] ?? "") + query);
      const [media, told] = Object.entries(operation.responses[answer.status]?.content ?? {})[0] ?? assert.fail(what);
      assert.ok(answer.headers.get("content-type")?.startsWith(media), what);
      assert.deepEqual(faults(document, told.schema, answer.body), [], what);
      asked++;
    }
  }
  assert.ok(asked > 20, `${asked}`);
});

test("control: the document knows who may what, as the listener does", async () => {
  await using daemon = await startFake();
  for (const { what, path, method, operation } of operationsOf(control)) {
    const pattern = path.replace(/\{(\w+)\}/g, ":$1");
    const access = accessOf(method, pattern);
    assert.equal(operation["x-sprint-role"], access?.role, what);
    assert.match(operation.description, new RegExp(`Role: ${access?.role}\\b`), what);
    assert.equal(operation["x-sprint-action"], access?.action ?? undefined, what);
    assert.ok("401" in operation.responses, what);
    if ("101" in operation.responses) continue;
    const url = daemon.control + path.replace("{name}", "btc-1");
    assert.equal((await ask(url, { method, token: null })).status, 401, what);
    const isRefused = (await ask(url, { method, token: VIEWER.token })).status === 403;
    assert.equal(isRefused, "403" in operation.responses, what);
  }
  assert.deepEqual(control.security, [{ token: [] }]);
  assert.equal(control.components.securitySchemes?.["token"]?.scheme, "bearer");
  assert.match(control.info.title, /control API/);
});

test("every code that is answered is in a document", () => {
  const text = JSON.stringify([tier, control]);
  assert.deepEqual(
    Object.keys(CODES).filter((code) => !text.includes(code)),
    [],
  );
});

test("a route that has no words is found out", async () => {
  const app = createApp(HTTP_LIMITS, () => {});
  await documentRoutes(app, controlDocument({ version: "0.1.0" }));
  app.get("/control/v1/new", () => ({}));
  await assert.rejects(async () => app.ready(), /GET \/control\/v1\/new is not described/);
  await app.close();
});

test("a route whose error is not among its own is found out", async () => {
  const app = createApp(HTTP_LIMITS, () => {});
  const document = controlDocument({ version: "0.1.0" });
  const path = CONTROL_ROUTES.status;
  const operation = document.operations[`GET ${path}`] ?? assert.fail();
  const operations = { [`GET ${path}`]: { ...operation, alsoOn: { 418: "a teapot" } } };
  await documentRoutes(app, { ...document, operations });
  app.get(path, () => ({}));
  await assert.rejects(async () => app.ready(), /no 418/);
  await app.close();
});

test("docs/api.md is what the documents say (`node test/tables/api.ts` writes it)", () => {
  const page = readFileSync(new URL("../../../docs/api.md", import.meta.url), "utf8");
  assert.equal(page, apiPage({ tier, control }));
  assert.ok(page.split("\n").length < 800);
  const isThere = (path: string): boolean => existsSync(new URL(`../../../docs/${path}`, import.meta.url));
  assert.deepEqual(deadLinks(page, isThere), []);
  const headings = readFileSync(new URL("../../../README.md", import.meta.url), "utf8").match(/^##+ .*/gm) ?? [];
  const anchors = headings.map((text) =>
    text
      .replace(/^#+ /, "")
      .toLowerCase()
      .replace(/[^\w\s-]/g, "")
      .replaceAll(" ", "-"),
  );
  for (const [, anchor = ""] of page.matchAll(/README\.md#([\w-]+)/g)) assert.ok(anchors.includes(anchor), anchor);
});
