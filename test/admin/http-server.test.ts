import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import {
  AdminHttpServer,
  type HttpRejection,
  type HttpRequestRecord,
  type Route,
  Router,
} from "../../src/admin/index.ts";
import { HearthError, SILENT_LOGGER } from "../../src/base/index.ts";
import { untilTrue } from "../support/until.ts";

const BODY_MAX_BYTES = 1_000;

const ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/hello",
    summary: "Hello",
    handle: () => ({ status: 200, headers: { "content-type": "text/plain" }, body: "hello" }),
  },
  {
    method: "POST",
    path: "/echo",
    summary: "Echo",
    handle: (request) => ({ status: 200, headers: {}, body: request.body }),
  },
  {
    method: "GET",
    path: "/wait",
    summary: "Waits until its caller is gone or the server closes",
    handle: (request) =>
      new Promise((_, reject) => {
        request.signal.addEventListener("abort", () => reject(request.signal.reason));
      }),
  },
];

describe("http server", () => {
  const records: HttpRequestRecord[] = [];
  const rejections: HttpRejection[] = [];
  let server: AdminHttpServer;
  let url = "";

  before(async () => {
    server = new AdminHttpServer(
      { address: "127.0.0.1", port: 0, bodyMaxBytes: BODY_MAX_BYTES },
      {
        router: new Router({ routes: ROUTES, logger: SILENT_LOGGER }),
        logger: SILENT_LOGGER,
        onRequest: (record) => records.push(record),
        onReject: (reason) => rejections.push(reason),
      },
    );
    url = `http://127.0.0.1:${await server.listen()}`;
  });

  after(() => server.close(0));

  it("answers, and names the request", async () => {
    const answer = await fetch(`${url}/hello`, { headers: { "x-request-id": "trace-7" } });
    assert.equal(await answer.text(), "hello");
    assert.equal(answer.headers.get("x-request-id"), "trace-7");
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
    assert.deepEqual(records.at(-1) && { ...records.at(-1), durationMs: 0 }, {
      method: "GET",
      route: "/hello",
      status: 200,
      durationMs: 0,
      receivedBytes: 0,
      sentBytes: 5,
    });
  });

  it("makes a name where the caller's is none", async () => {
    const answer = await fetch(`${url}/hello`, { headers: { "x-request-id": "a b" } });
    assert.match(answer.headers.get("x-request-id") ?? "", /^http-\d+-\d+$/);
    await answer.text();
  });

  it("HEAD has the length and no body", async () => {
    const answer = await fetch(`${url}/hello`, { method: "HEAD" });
    assert.equal(answer.headers.get("content-length"), "5");
    assert.equal(await answer.text(), "");
  });

  it("takes a body of exactly the limit and refuses one byte more, declared or not", async () => {
    const fits = await fetch(`${url}/echo`, { method: "POST", body: "x".repeat(BODY_MAX_BYTES) });
    assert.equal((await fits.text()).length, BODY_MAX_BYTES);
    const declared = await fetch(`${url}/echo`, {
      method: "POST",
      body: "x".repeat(BODY_MAX_BYTES + 1),
    });
    assert.equal(declared.status, 413);
    const { error } = (await declared.json()) as { error: { code: string; next: string } };
    assert.equal(error.code, "resource_exhausted");
    assert.match(error.next, /hearth\.http-body-max-bytes/);
    const chunked = await raw(
      `POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n${"x".repeat(1_001)}\r\n0\r\n\r\n`,
    );
    assert.match(chunked, /^HTTP\/1\.1 413 /);
    assert.equal(rejections.filter((reason) => reason === "body_too_large").length, 2);
  });

  it("what is no HTTP gets 400, headers without end 431", async () => {
    assert.match(await raw("nonsense\r\n\r\n"), /^HTTP\/1\.1 400 /);
    assert.match(
      await raw(`GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(20_000)}\r\n\r\n`),
      /^HTTP\/1\.1 431 /,
    );
    assert.ok(rejections.includes("headers_too_large"));
    assert.equal((await fetch(`${url}/hello`)).status, 200, "it still serves");
  });

  it("a caller that goes away aborts its handler", async () => {
    const controller = new AbortController();
    const asked = fetch(`${url}/wait`, { signal: controller.signal }).catch(() => null);
    await untilTrue(() => server.inFlightCount > 0);
    controller.abort();
    await asked;
    await untilTrue(() => server.inFlightCount === 0);
    assert.equal(records.at(-1)?.status, 499);
  });

  it("a port that is taken is told in words", async () => {
    const { port } = new URL(url);
    const second = new AdminHttpServer(
      { address: "127.0.0.1", port: Number(port), bodyMaxBytes: 1 },
      { router: new Router({ routes: [], logger: SILENT_LOGGER }), logger: SILENT_LOGGER },
    );
    await assert.rejects(second.listen(), (error) => {
      assert.ok(error instanceof HearthError);
      assert.equal(
        error.message,
        `Cannot listen on 127.0.0.1:${port}: something else listens there`,
      );
      return true;
    });
  });

  it("closing lets a request end within its grace, then drops it", async () => {
    const asked = fetch(`${url}/wait`).then(
      (answer) => answer.status,
      () => "dropped",
    );
    await untilTrue(() => server.inFlightCount > 0);
    await server.close(20);
    assert.ok(["dropped", 503].includes(await asked));
    await server.close(0);
  });

  function raw(text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.write(text));
      let answer = "";
      socket.on("data", (data) => {
        answer += data.toString();
        socket.end();
      });
      socket.on("close", () => resolve(answer));
      socket.on("error", (error: NodeJS.ErrnoException) =>
        error.code === "ECONNRESET" ? resolve(answer) : reject(error),
      );
    });
  }
});
