import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkLogs, logFilterFromJson, provedLogs } from "../../../../src/daemon/chain/evm/logs.ts";
import { hasData, readData } from "../../../fakes/data.ts";

interface JsonLog {
  readonly address: string;
  readonly topics: readonly string[];
}
interface JsonReceipt {
  readonly logs: readonly JsonLog[];
}
interface JsonHeader {
  readonly hash: string;
  readonly logsBloom: string;
  readonly receiptsRoot: string;
}

function json<T>(name: string): T {
  return JSON.parse(readData(`${name}.json`).toString()) as T;
}

describe("the answers of eth_getLogs", { skip: !hasData && "no chain data" }, () => {
  const name = "ethereum/rpc/17300000";
  const header = (): JsonHeader => json(`${name}.block`);
  const receipts = (): JsonReceipt[] => json(`${name}.receipts`);
  const logs = (): JsonLog[] => receipts().flatMap((receipt) => receipt.logs);
  const code = (filter: object, answer: unknown): string | undefined =>
    checkLogs(header(), logFilterFromJson(filter), answer)?.code;

  it("none is believed only where the bloom has no bits for the filter", () => {
    const [log] = logs();
    assert.equal(code({ address: log?.address }, []), "SPRINT_EVM_LOGS_EMPTY");
    assert.equal(code({ topics: [null, [log?.topics[1]]] }, []), "SPRINT_EVM_LOGS_EMPTY");
    assert.equal(code({}, []), "SPRINT_EVM_LOGS_EMPTY");
    assert.equal(code({ address: [`0x${"00".repeat(18)}beef`] }, []), undefined);
  });

  it("each must be of the block, of the filter and of the bloom", () => {
    const [first] = logs() as [JsonLog];
    const { address } = first;
    const own = logs().filter((log) => log.address === address);
    assert.equal(code({ address }, own), undefined);
    assert.equal(code({}, logs()), undefined);
    assert.equal(code({ address }, [...own, { ...first, blockHash: `0x${"11".repeat(32)}` }]), "SPRINT_EVM_LOGS_PLACE");
    const other = logs().find((log) => log.address !== address);
    assert.equal(code({ address }, [other]), "SPRINT_EVM_LOGS_STRANGE");
    assert.equal(code({ topics: [[], first.topics[0]] }, [first]), "SPRINT_EVM_LOGS_STRANGE");
    assert.equal(code({ topics: [null, null, null, null] }, [{ ...first, topics: [] }]), "SPRINT_EVM_LOGS_STRANGE");
    assert.equal(code({}, [{ ...first, topics: [`0x${"5a".repeat(32)}`] }]), "SPRINT_EVM_LOGS_STRANGE");
    assert.throws(() => code({}, [{ ...first, address: "0x12" }]), { code: "SPRINT_EVM_JSON_LENGTH" });
    assert.throws(() => code({ address: "nobody" }, []), { code: "SPRINT_EVM_JSON_TYPE" });
  });

  it("receipts prove all that match, and nothing under another root", () => {
    const [{ address, topics }] = logs() as [JsonLog];
    const proved = (filter: object): readonly unknown[] | null =>
      provedLogs(header().receiptsRoot, logFilterFromJson(filter), receipts());
    assert.deepEqual(proved({}), logs());
    assert.deepEqual(
      proved({ address, topics: [topics[0]] }),
      logs().filter((log) => log.address === address && log.topics[0] === topics[0]),
    );
    assert.equal(provedLogs(header().receiptsRoot, logFilterFromJson({}), receipts().slice(2)), null);
  });

  it("Polygon's state sync has no root over it, and is left out", () => {
    const polygon = "polygon/rpc/10000000";
    const { receiptsRoot } = json<JsonHeader>(`${polygon}.block`);
    const all = json<JsonReceipt[]>(`${polygon}.receipts`);
    const proved = provedLogs(receiptsRoot, logFilterFromJson({}), all);
    const expected = all.slice(0, -1).flatMap((each) => each.logs);
    assert.deepEqual(proved, expected);
  });
});
