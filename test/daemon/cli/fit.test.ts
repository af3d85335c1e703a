import test from "node:test";
import assert from "node:assert/strict";
import { fittedTable } from "../../../src/daemon/cli/fit.ts";

const HEAD = ["NAME", "HASH", "NOTE"];
const HASH = `0x${"0123456789abcdef".repeat(4)}`;
const ROWS = [["eth-1", HASH, "a rather long sentence about what is wrong with it"]];
const CUT = { NOTE: "end", HASH: "start" } as const;

test("a table that fits, or has no terminal, is left whole", () => {
  for (const columns of [undefined, 200])
    assert.match(fittedTable(HEAD, ROWS, { columns, cut: CUT }), new RegExp(`${HASH}.*wrong with it$`));
});

test("columns give room in the order given, a hash keeps its end, and something of each stays", () => {
  const narrower = fittedTable(HEAD, ROWS, { columns: 110, cut: CUT }).split("\n");
  assert.match(narrower[1] ?? "", new RegExp(`^eth-1  ${HASH}  a rather .*…$`));
  assert.equal(narrower[1]?.length, 110);
  const narrow = fittedTable(HEAD, ROWS, { columns: 60, cut: CUT }).split("\n");
  assert.match(narrow[1] ?? "", /^eth-1  ….*89abcdef  a rather lo…$/);
  assert.equal(narrow[1]?.length, 60);
  assert.match(fittedTable(HEAD, ROWS, { columns: 5, cut: CUT }), /…56789abcdef  a rather lo…$/);
});
