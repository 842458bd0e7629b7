/** connect(): which settings it takes, what it tries, and what it says when nobody answers. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { connect } from "../../src/client/index.ts";
import { endpointUrl, normalizeEndpoint } from "../../src/client/endpoint.ts";
import { withMoreTime } from "../support/more-time.ts";
import { findFreePorts } from "../support/ports.ts";
import { FakeServer, refusal } from "./fake-server.ts";
import { failureOf, startClient, startServer } from "./fixture.ts";

/** A port where nobody listens. */
async function deadEndpoint(): Promise<string> {
  return `127.0.0.1:${(await findFreePorts(1))[0]}`;
}

describe("connect", () => {
  it("says hello with name, role and versions", async (t) => {
    const server = await startServer(t);
    await startClient(t, [server.endpoint], { name: "query-frontend-7", role: "query-frontend" });
    assert.deepEqual(server.hellos, [
      {
        protocolMin: 1,
        protocolMax: 1,
        name: "query-frontend-7",
        role: "query-frontend",
        dictionaryMaxBytes: 4 * 1024 * 1024,
        bundleMaxBytes: 64 * 1024,
        wantsLeader: true,
      },
    ]);
  });

  it("needs only one of its endpoints", async (t) => {
    const server = await startServer(t);
    const dead = [await deadEndpoint(), await deadEndpoint()];
    for (let i = 0; i < 5; i++) {
      const client = await connect({
        endpoints: [...dead, server.endpoint],
        connectTimeoutMs: 60_000,
      });
      await client.close();
    }
  });

  it("rejects with the reason of each endpoint", async (t) => {
    const mute = await startServer(t, { isMute: true });
    const web = createServer((_, response) => response.writeHead(404).end());
    web.listen(0, "127.0.0.1");
    await once(web, "listening");
    t.after(() => web.close());
    const dead = await deadEndpoint();
    const notOurs = `127.0.0.1:${(web.address() as AddressInfo).port}`;
    const endpoints = [dead, mute.endpoint, notOurs];
    await withMoreTime(900, async (connectTimeoutMs) => {
      const error = await failureOf(connect({ endpoints, connectTimeoutMs }));
      assert.deepEqual([error.code, error.sent, error.retryable], ["unavailable", "no", true]);
      assert.match(error.message, new RegExp(`within ${connectTimeoutMs} ms`));
      assert.ok(error.message.includes(`${dead}: connection refused`), error.message);
      assert.match(error.message, new RegExp(`${mute.endpoint}: .*(connected, no answer)`));
      assert.ok(error.message.includes(`${notOurs}: answered HTTP 404, not a WebSocket`));
      assert.ok(error.cause instanceof AggregateError);
      assert.equal(error.cause.errors.length, 3);
      assert.notEqual(error.next, null);
    });
  });

  it("gives up at once when no endpoint can ever succeed", async (t) => {
    const helloError = refusal("failed_precondition", { reason: "unsupported_version" });
    const server = await startServer(t, { helloError });
    // A wait for the limit would fail the test by its own.
    const error = await failureOf(
      connect({ endpoints: [server.endpoint], connectTimeoutMs: 3_600_000 }),
    );
    assert.deepEqual([error.code, error.reason], ["failed_precondition", "unsupported_version"]);
  });

  it("goes on while a server may still come up", async (t) => {
    const endpoint = await deadEndpoint();
    const pending = connect({
      endpoints: [endpoint],
      connectTimeoutMs: 60_000,
      reconnect: { minDelayMs: 5, maxDelayMs: 20 },
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    const server = await FakeServer.start({ port: Number(endpoint.split(":")[1]) });
    t.after(() => server.stop());
    await (await pending).close();
  });

  it("an abort rejects with its reason and leaves nothing behind", async (t) => {
    const mute = await startServer(t, { isMute: true });
    const controller = new AbortController();
    const pending = connect({ endpoints: [mute.endpoint], signal: controller.signal });
    const reason = new Error("changed my mind");
    setTimeout(() => controller.abort(reason), 10);
    await assert.rejects(pending, (error) => error === reason);
    await mute.whenDeserted();
  });

  it("refuses a server whose hello makes no sense", async (t) => {
    const server = await startServer(t, { hello: { protocol: 9 } });
    const error = await failureOf(connect({ endpoints: [server.endpoint] }));
    assert.deepEqual([error.code, error.reason], ["internal", "protocol_violation"]);
  });

  it("lists all problems of its settings", async () => {
    const error = await failureOf(
      connect({ endpoints: ["http://x", "ok:1"], maxInFlight: 0, connectTimeoutMs: Number.NaN }),
    );
    assert.equal(error.code, "invalid_argument");
    for (const part of ['"http://x"', "maxInFlight is 0", "connectTimeoutMs is NaN"]) {
      assert.ok(error.message.includes(part), error.message);
    }
    assert.equal((await failureOf(connect({ endpoints: [] }))).code, "invalid_argument");
  });
});

describe("endpoints", () => {
  it("have one canonical form", () => {
    const forms: readonly (readonly [string, string])[] = [
      ["hearth-0", "hearth-0:4041"],
      ["hearth-0:4041", "hearth-0:4041"],
      ["HEARTH-0:80", "hearth-0:80"],
      ["ws://hearth-0", "hearth-0:4041"],
      ["ws://hearth-0:80/", "hearth-0:80"],
      ["wss://hearth-0:443", "wss://hearth-0:443"],
      ["ws://hearth-0/rpc", "ws://hearth-0:4041/rpc"],
      ["[::1]:9", "[::1]:9"],
    ];
    for (const [text, expected] of forms) {
      assert.equal(normalizeEndpoint(text), expected);
      assert.equal(normalizeEndpoint(expected), expected, "not stable");
    }
    assert.equal(endpointUrl("hearth-0"), "ws://hearth-0:4041");
    assert.equal(endpointUrl("wss://hearth-0"), "wss://hearth-0:4041");
  });

  it("that are none are refused", () => {
    const texts = ["", "http://a", "a:b:c", "a:99999", "ws://", "user@a", "ws://a?x=1", "a b"];
    for (const text of texts) {
      assert.throws(() => normalizeEndpoint(text), /Cannot use endpoint/, text);
    }
  });
});
