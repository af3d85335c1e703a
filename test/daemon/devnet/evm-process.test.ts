import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { hasAnvil, startAnvil } from "../../fakes/anvil.ts";

const skip = hasAnvil ? false : "no anvil";
const MODULE = new URL("../../../src/daemon/devnet/evm-process.ts", import.meta.url).href;

test("anvil: reorg, rollback, freeze and restart", { skip }, async () => {
  const anvil = await startAnvil();
  try {
    const mined = await anvil.mine(10);
    assert.equal(mined.length, 10);

    const replaced = await anvil.reorg(3, 2);
    assert.equal(replaced.length, 5);
    assert.equal(new Set([...mined, ...replaced]).size, 15);
    assert.deepEqual(await anvil.hashes(1), [...mined.slice(0, 7), ...replaced]);

    assert.equal(await anvil.rollback(4), replaced[0]);
    assert.equal(await anvil.rpc("eth_blockNumber"), "0x8");

    anvil.freeze();
    let answered = false;
    const answer = anvil.rpc("eth_blockNumber").then((height) => {
      answered = true;
      return height;
    });
    await sleep(100);
    assert.equal(answered, false);
    anvil.thaw();
    assert.equal(await answer, "0x8");

    const before = await anvil.hashes();
    await anvil.restart();
    assert.deepEqual(await anvil.hashes(), before);
    assert.equal((await anvil.mine(1)).length, 1);
    // A frozen one can be closed too.
    anvil.freeze();
  } finally {
    await anvil.close();
  }
});

test("anvil ends with the process that started it, also where that is killed", { skip }, async () => {
  const script = `
    const { findAnvil, startAnvilProcess } = await import(${JSON.stringify(MODULE)});
    const options = { binary: findAnvil(), host: "127.0.0.1", port: 0, args: [], startTimeoutMs: 20000, callTimeoutMs: 20000 };
    const anvil = await startAnvilProcess(options);
    console.log(anvil.port);
    setInterval(() => {}, 1000);
  `;
  const parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [said] = (await once(parent.stdout, "data")) as [Buffer];
  const port = Number(said.toString());
  assert.ok(await answers(port));
  const exited = once(parent, "exit");
  parent.kill("SIGKILL");
  await exited;
  for (let waited = 0; (await answers(port)) && waited < 10_000; waited += 20) await sleep(20);
  assert.equal(await answers(port), false);
});

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
