import test from "node:test";
import assert from "node:assert/strict";
import { createLogger } from "../../../src/daemon/observe/index.ts";

const SECRETS = /hunter2|s3cret|0123456789abcdef/;

function logged(format: "json" | "pretty", use: (log: ReturnType<typeof createLogger>) => void): string {
  const lines: string[] = [];
  use(createLogger({ level: "debug", format, color: false }, { write: (line) => lines.push(line) }));
  return lines.join("");
}

for (const format of ["json", "pretty"] as const) {
  test(`no way into a ${format} line lets a secret through`, () => {
    const url = "http://user:hunter2@node:8332/";
    const text = logged(format, (log) => {
      log.info({ url, token: "s3cret" }, `dialling ${url}`);
      log.error({ err: new Error(`no answer from ${url}`) }, "gave up");
      log.error(new Error(`no answer from ${url}`));
      log.warn("dialling %s", url);
      log.child({ upstream: url, secret: "s3cret" }).info("up");
      log.debug({ headers: { authorization: "Bearer 0123456789abcdef" } }, "asked");
    });
    assert.doesNotMatch(text, SECRETS);
    assert.match(text, /no answer from http:\/\/\*\*\*@node:8332/);
    assert.match(text, /dialling http:\/\/\*\*\*@node:8332/);
  });
}

test("a JSON line holds level by name, time and fields", () => {
  const line = JSON.parse(logged("json", (log) => log.info({ chain: "bitcoin", height: 7 }, "block")));
  assert.equal(line.level, "info");
  assert.equal(line.height, 7);
  assert.equal(line.msg, "block");
  assert.match(line.time, /^\d{4}-.*Z$/);
});

test("the level holds back what is below it", () => {
  assert.equal(
    logged("json", (log) => log.trace("below debug")),
    "",
  );
});

test("the level can be changed while it logs", () => {
  const text = logged("json", (log) => {
    log.trace("one");
    log.level = "trace";
    log.trace("two");
    log.level = "error";
    log.warn("three");
  });
  assert.match(text, /"two"/);
  assert.doesNotMatch(text, /one|three/);
});
