import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { parseUpstreamUrl, rpcOrigin, wsUrl } from "../../../src/daemon/upstream/url.ts";
import { redactText } from "../../../src/shared/redact.ts";
import { isSprintError } from "../../../src/shared/errors.ts";

test("a peer", () => {
  assert.deepEqual(parseUpstreamUrl("p2p://127.0.0.1:19444?network=regtest"), {
    kind: "p2p",
    host: "127.0.0.1",
    port: 19444,
    rpc: null,
    network: "regtest",
    display: "p2p://127.0.0.1:19444?network=regtest",
  });
  const address = parseUpstreamUrl("p2p://[2001:db8::1]");
  assert.ok(
    address.kind === "p2p" && address.host === "[2001:db8::1]" && address.port === null && address.network === null,
  );
});

test("an RPC with user and password, percent-encoded", () => {
  assert.deepEqual(parseUpstreamUrl("http://rpc%20user:p%40ss%2Fw+1@btc_node:80/wallet?network=signet"), {
    kind: "rpc",
    rpc: {
      secure: false,
      host: "btc_node",
      port: 80,
      path: "/wallet",
      auth: { kind: "password", user: "rpc user", password: "p@ss/w+1" },
    },
    network: "signet",
    display: "http://***@btc_node:80/wallet?network=signet",
  });
});

test("an RPC with a cookie", () => {
  const address = parseUpstreamUrl("https://node.example?cookie=/var/lib/with%20space/.cookie");
  assert.ok(address.kind === "rpc");
  assert.deepEqual(address.rpc.auth, { kind: "cookie", file: "/var/lib/with space/.cookie" });
  assert.equal(address.rpc.port, null);
});

test("the port that is not written is the network's, or 443", () => {
  const origin = (url: string): string => {
    const address = parseUpstreamUrl(url);
    assert.ok(address.kind === "rpc");
    return rpcOrigin(address.rpc, 9332);
  };
  assert.equal(origin("http://127.0.0.1"), "http://127.0.0.1:9332");
  assert.equal(origin("http://127.0.0.1:80"), "http://127.0.0.1:80");
  assert.equal(origin("https://[::1]"), "https://[::1]:443");
});

test("ZMQ with the RPC of its node", () => {
  const plain = parseUpstreamUrl("zmq+tcp://127.0.0.1:28332?rpc=http://user:a+b%2Fc@127.0.0.1:9332&network=regtest");
  assert.deepEqual(plain, {
    kind: "zmq",
    host: "127.0.0.1",
    port: 28332,
    rpc: {
      secure: false,
      host: "127.0.0.1",
      port: 9332,
      path: "/",
      auth: { kind: "password", user: "user", password: "a+b/c" },
    },
    network: "regtest",
    display: "zmq+tcp://127.0.0.1:28332?rpc=http://***@127.0.0.1:9332&network=regtest",
  });
  const encoded = parseUpstreamUrl(
    `zmq+tcp://127.0.0.1:28332?rpc=${encodeURIComponent("http://user:a+b%2Fc@127.0.0.1:9332")}&network=regtest`,
  );
  assert.ok(encoded.kind === "zmq");
  assert.deepEqual(encoded.rpc, plain.kind === "zmq" && plain.rpc);
  assert.ok(!encoded.display.includes("user"), encoded.display);

  for (const url of ["zmq+tcp://h:1?rpc=http://h:2&cookie=/c", "zmq+tcp://h:1?rpc=http://h:2?cookie=/c"]) {
    const address = parseUpstreamUrl(url);
    assert.ok(address.kind === "zmq");
    assert.deepEqual(address.rpc?.auth, { kind: "cookie", file: "/c" }, url);
  }
  const alone = parseUpstreamUrl("zmq+tcp://h:1");
  assert.ok(alone.kind === "zmq" && alone.rpc === null);
});

test("a peer with the RPC of its node: one upstream", () => {
  assert.deepEqual(parseUpstreamUrl("p2p://127.0.0.1?network=regtest&rpc=http://user:a+b%2Fc@127.0.0.1:19443/w"), {
    kind: "p2p",
    host: "127.0.0.1",
    port: null,
    rpc: {
      secure: false,
      host: "127.0.0.1",
      port: 19443,
      path: "/w",
      auth: { kind: "password", user: "user", password: "a+b/c" },
    },
    network: "regtest",
    display: "p2p://127.0.0.1?network=regtest&rpc=http://***@127.0.0.1:19443/w",
  });
  for (const url of ["p2p://h:1?rpc=https://i&cookie=/c", "p2p://h:1?rpc=https%3A%2F%2Fi%3Fcookie%3D%2Fc&network=x"]) {
    const address = parseUpstreamUrl(url);
    assert.ok(address.kind === "p2p");
    const rpc = { secure: true, host: "i", port: null, path: "/", auth: { kind: "cookie", file: "/c" } };
    assert.deepEqual(address.rpc, rpc, url);
  }
});

const REFUSED: readonly (readonly [url: string, says: RegExp])[] = [
  ["", /scheme/],
  ["127.0.0.1:19444", /no scheme/],
  ["ftp://h:1", /p2p, http, https, ws, wss, zmq\+tcp, beacon\+http or beacon\+https, got ftp/],
  ["ws://h:1?rpc=ws://h:2", /http:\/\/ or https:\/\/ in rpc=/],
  ["ws://h:1?cookie=/c", /rpc= beside cookie=/],
  ["wss://user:secret%@h:1", /%25/],
  ["wss://h:1?network=a&apikey=x&network=b", /network= once, got twice/],
  ["tcp://h:1", /zmq\+tcp/],
  ["p2p://", /HOST|host name/],
  ["p2p://h:0", /port of 1 to 65535, got 0/],
  ["p2p://h:65536", /port of 1 to 65535/],
  ["p2p://h:1/path", /no path/],
  ["p2p://user:secret@h:1", /no user or password/],
  ["p2p://h:1?network=", /a value for network=/],
  ["p2p://h:1?network=a&network=b", /once, got twice/],
  ["p2p://h:1?netwrok=regtest", /parameters of network, rpc, cookie, got netwrok/],
  ["p2p://h:1?rpc=p2p://h:2", /http:\/\/ or https:\/\/ in rpc=/],
  ["p2p://h:1?rpc=http://user:secret@h:2&rpc=http://h:3", /rpc= once, got twice/],
  ["p2p://h:1?rpc=http://user:secret@h:2&cookie=/c", /either USER:PASS@ or cookie=/],
  ["p2p://h:1?rpc=http://user:sec/ret@h:2", /percent-encoded/],
  ["p2p://h:1?cookie=/c", /rpc= beside cookie=/],
  ["p2p://h:1?network=../etc", /another network's name/],
  ["p2p://ho st:1", /no space/],
  ["p2p://h%zz:1", /host name/],
  ["http://user:secret@h:1?cookie=/c", /either USER:PASS@ or cookie=/],
  ["http://user:sec/ret@h:1", /percent-encoded/],
  ["http://user:secret%@h:1", /%25/],
  ["http://user:sec#ret@h:1", /no space, backslash or #/],
  ["zmq+tcp://h", /ZMQ has no usual one/],
  ["zmq+tcp://h:1?rpc=ws://h:2", /http:\/\/ or https:\/\/ in rpc=/],
  ["zmq+tcp://h:1?cookie=/c", /rpc= beside cookie=/],
  [`p2p://${"h".repeat(3000)}`, /at most 2048 characters/],
];

test("what is none is refused with a sentence, and without the password", () => {
  for (const [url, says] of REFUSED) {
    assert.throws(
      () => parseUpstreamUrl(url),
      (error: { code: string; message: string; cause?: unknown }) => {
        assert.equal(error.code, "SPRINT_CONFIG_UPSTREAM_URL", url);
        assert.match(error.message, says);
        assert.ok(
          !JSON.stringify({ ...error, message: error.message, cause: error.cause }).includes("sec"),
          `${url}: ${error.message}`,
        );
        return true;
      },
    );
  }
});

test("a WebSocket, with the HTTP address beside it where it has one", () => {
  assert.deepEqual(parseUpstreamUrl("ws://127.0.0.1:8546?network=devnet"), {
    kind: "ws",
    secure: false,
    host: "127.0.0.1",
    port: 8546,
    path: "/",
    auth: { kind: "none" },
    rpc: null,
    network: "devnet",
    display: "ws://127.0.0.1:8546?network=devnet",
  });
  const address = parseUpstreamUrl("wss://u:p%40@node.example/ws?rpc=https://node.example/http");
  assert.ok(address.kind === "ws" && address.secure && address.port === null);
  assert.deepEqual(address.auth, { kind: "password", user: "u", password: "p@" });
  assert.deepEqual(address.rpc, {
    secure: true,
    host: "node.example",
    port: null,
    path: "/http",
    auth: { kind: "none" },
  });
  assert.equal(wsUrl(address, 8546), "wss://node.example:443/ws");
  const plain = parseUpstreamUrl("ws://[::1]/");
  assert.equal(plain.kind === "ws" && wsUrl(plain, 8546), "ws://[::1]:8546/");
});

test("a hosted node's key stays in path and query, and is never shown", () => {
  const key = "0123456789abcdef0123456789abcdef";
  const inQuery = parseUpstreamUrl("wss://h/v2?api-key=a%2Bb+c&network=mainnet&dkey=hunter2&plan");
  assert.ok(inQuery.kind === "ws");
  assert.equal(inQuery.path, "/v2?api-key=a%2Bb+c&dkey=hunter2&plan");
  assert.equal(inQuery.network, "mainnet");
  assert.equal(inQuery.display, "wss://h/v2?api-key=***&network=mainnet&dkey=***&plan");

  const overHttp = parseUpstreamUrl(`https://h/v3/${key}?token=hunter2&network=sepolia`);
  assert.ok(overHttp.kind === "rpc");
  assert.equal(overHttp.rpc.path, `/v3/${key}?token=hunter2`);
  assert.equal(overHttp.display, "https://h/v3/***?token=***&network=sepolia");

  const beside = `https://h/v3/${key}?api-key=hunter2`;
  for (const url of [`wss://h/${key}?rpc=${beside}`, `wss://h/${key}?rpc=${encodeURIComponent(beside)}`]) {
    const both = parseUpstreamUrl(url);
    assert.ok(both.kind === "ws");
    assert.equal(both.rpc?.path, `/v3/${key}?api-key=hunter2`);
    assert.ok(!both.display.includes(key) && !both.display.includes("hunter2"), both.display);
  }
});

test("redact leaves nothing secret in any text", () => {
  const secret = "hunter2";
  for (const [text, shown] of [
    [`http://u:${secret}@h:1/x`, "http://***@h:1/x"],
    [
      `connect to http://${secret}@h:1 failed, https://${secret}:x@i too`,
      "connect to http://***@h:1 failed, https://***@i too",
    ],
    [`zmq+tcp://h:1?rpc=http://u:${secret}@h:2`, "zmq+tcp://h:1?rpc=http://***@h:2"],
    [
      `zmq+tcp://h:1?rpc=http%3A%2F%2Fu%3A${secret}%40h%3A2&network=x`,
      "zmq+tcp://h:1?rpc=http%3A%2F%2F***%40h%3A2&network=x",
    ],
    [`p2p://h:1?rpc=http://u:${secret}@h:2&network=x`, "p2p://h:1?rpc=http://***@h:2&network=x"],
    [`p2p://h:1?rpc=http%3A%2F%2Fu%3A${secret}%40h%3A2`, "p2p://h:1?rpc=http%3A%2F%2F***%40h%3A2"],
    [`http://u:pa/${secret}@h:1`, "http://***@h:1"],
    [`http://u:pa?${secret}@h:1`, "http://***@h:1"],
    [`http://u:a@${secret}@h:1`, "http://***@h:1"],
    [`https://h/v1?api_key=${secret}&x=1`, "https://h/v1?api_key=***&x=1"],
    [`https://h/${secret}${secret}${secret}/main`, "https://h/***/main"],
    [
      "http://h:1?cookie=/var/lib/litecoin-regtest-directory/.cookie",
      "http://h:1?cookie=/var/lib/litecoin-regtest-directory/.cookie",
    ],
  ] as const) {
    assert.equal(redactText(text), shown);
    assert.ok(!redactText(text).includes(secret));
  }
});

test("whatever is written gives an address or the one code, and a password never comes out", () => {
  const odd = fc.string({ unit: fc.constantFrom(..."aZ0:/?#@%[]&=+. \\\u0000é") });
  const part = fc.string({ unit: fc.constantFrom(..."x/?#@%&=+:"), maxLength: 4 });
  const password = fc.tuple(part, part).map(([front, back]) => `${front}s3cr3t${back}`);
  const url = fc.oneof(
    odd,
    fc
      .tuple(fc.constantFrom("p2p", "http", "https", "zmq+tcp", "ws"), odd)
      .map(([scheme, rest]) => `${scheme}://${rest}`),
    fc
      .tuple(fc.constantFrom("http://", "zmq+tcp://h:1?rpc=http://", "p2p://h?rpc=http://", "p2p://"), password, odd)
      .map(([front, password, rest]) => `${front}user:${password}@host:1${rest}`),
  );
  fc.assert(
    fc.property(url, (url) => {
      assert.ok(!redactText(url).includes("s3cr3t"), redactText(url));
      try {
        assert.ok(!parseUpstreamUrl(url).display.includes("s3cr3t"));
      } catch (error) {
        assert.ok(isSprintError(error) && error.code === "SPRINT_CONFIG_UPSTREAM_URL", String(error));
        assert.ok(!JSON.stringify([error.message, error.data]).includes("s3cr3t"), error.message);
      }
    }),
    { seed: 11, numRuns: 5000 },
  );
});
