/** The endpoint on real sockets, with methods of its own: sizes, packing, many calls, deadlines, TLS, and its end. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type ClientHttp2Session, constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { credentials } from "@grpc/grpc-js";
import type { GrpcOptions } from "../../src/grpc/index.ts";
import { snappyPack, snappyUnpack } from "../../src/grpc/snappy.ts";
import { type Issued, issueCertificate } from "../support/grpc/certificates.ts";
import { CallError, GrpcClient } from "../support/grpc/client.ts";
import { decodeMessage, encodeMessage } from "../support/grpc/schema.ts";
import { callRaw, framed, openRaw, type RawAnswer } from "../support/grpc/raw.ts";
import { withMoreTime } from "../support/more-time.ts";
import { until } from "../support/until.ts";
import { NEWS, Rig, turn } from "./rig.ts";

const MIB = 1024 * 1024;
function size(bytes: number): Buffer {
  const message = Buffer.alloc(4);
  message.writeUInt32LE(bytes);
  return message;
}

async function code(call: Promise<unknown>): Promise<number> {
  const error = await call.catch((failure: unknown) => failure);
  assert.ok(error instanceof CallError, `not refused: ${String(error)}`);
  return error.code;
}

function statusOf({ trailers }: RawAnswer): number {
  return Number(trailers["grpc-status"]);
}

describe("gRPC on sockets", { timeout: 240_000 }, () => {
  let rig: Rig;
  let client: GrpcClient;
  let session: ClientHttp2Session;

  before(async () => {
    rig = await Rig.open();
    client = new GrpcClient(rig.address);
    session = await openRaw(rig.address);
  });

  after(() => {
    client.close();
    session.destroy();
    rig.close();
  });

  it("carries 100 MiB both ways, and refuses more", async () => {
    const large = Buffer.alloc(100 * MIB, 7);
    const answer = await client.callBytes("/test.Test/Echo", large, { timeoutMs: 200_000 });
    assert.ok(large.equals(answer));
    const more = Buffer.alloc(100 * MIB + 1);
    assert.equal(await code(client.callBytes("/test.Test/Echo", more)), 8);
    assert.equal(await code(client.callBytes("/test.Test/Send", size(100 * MIB + 1))), 8);
    // The connection lives on.
    assert.equal((await client.callBytes("/test.Test/Send", size(3))).length, 3);
  });

  it("carries 1,000 calls at once on one connection", async () => {
    rig.waiting.length = 0;
    const calls = Array.from({ length: 1_000 }, () =>
      client.callBytes("/test.Test/Wait", new Uint8Array(0)),
    );
    await rig.untilWaiting(1_000);
    assert.equal(rig.edge.metrics().inFlight, 1_000);
    for (const call of rig.waiting) call.reply((sink) => sink.appendWords(1, 2));
    for (const answer of await Promise.all(calls)) assert.equal(answer.length, 8);
    assert.equal(rig.edge.connectionCount, 2);
  });

  it("answers a packed request in kind", async () => {
    const text = Buffer.from("service_name ".repeat(50));
    const packed = new GrpcClient(rig.address, undefined, {
      "grpc.default_compression_algorithm": 2,
    });
    assert.ok(text.equals(await packed.callBytes("/test.Test/Echo", text)));
    const large = Buffer.alloc(2 * MIB, "abc");
    assert.ok(large.equals(await packed.callBytes("/test.Test/Echo", large)));
    packed.close();
    const answer = await callRaw(session, "/test.Test/Echo", framed(snappyPack(text), 1), {
      "grpc-encoding": "snappy",
    });
    assert.equal(answer.headers["grpc-encoding"], "snappy");
    assert.equal(answer.body[0], 1);
    assert.ok(text.equals(snappyUnpack(answer.body.subarray(5), 1_000)));
    // A message that is not packed may come on such a call, too.
    const plain = await callRaw(session, "/test.Test/Echo", framed(text), {
      "grpc-encoding": "gzip",
    });
    assert.ok(text.equals(gunzipSync(plain.body.subarray(5))));
  });

  it("names what it can unpack when a request is packed otherwise", async () => {
    const answer = await callRaw(session, "/test.Test/Echo", framed(Buffer.from("x"), 1), {
      "grpc-encoding": "br",
    });
    assert.equal(statusOf(answer), 12);
    assert.equal(answer.trailers["grpc-accept-encoding"], "identity,gzip,snappy");
  });

  it("refuses what is no call, and lives on", async () => {
    const bodies: readonly [Buffer, number][] = [
      [Buffer.alloc(0), 3],
      [Buffer.from([0, 0, 0]), 3],
      [framed(Buffer.from("short")).subarray(0, 7), 3],
      [Buffer.concat([framed(Buffer.from("a")), framed(Buffer.from("b"))]), 3],
      [framed(Buffer.from("x"), 7), 3],
      [framed(Buffer.from("x"), 1), 3],
      [Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), 8],
    ];
    for (const [body, expected] of bodies)
      assert.equal(
        statusOf(await callRaw(session, "/test.Test/Echo", body)),
        expected,
        body.toString("hex"),
      );
    const garbage = { "grpc-encoding": "gzip" };
    const bad = await callRaw(session, "/test.Test/Echo", framed(Buffer.from("x"), 1), garbage);
    assert.equal(statusOf(bad), 3);
    const timeout = { "grpc-timeout": "soon" };
    assert.equal(
      statusOf(await callRaw(session, "/test.Test/Echo", framed(Buffer.alloc(0)), timeout)),
      3,
    );
    assert.equal(statusOf(await callRaw(session, "/test.Test/None", framed(Buffer.alloc(0)))), 12);
    for (const type of ["application/json", "application/grpc-web", "application/grpc-web+proto"]) {
      const other = { "content-type": type };
      const page = await callRaw(session, "/test.Test/Echo", Buffer.from("{}"), other);
      assert.equal(page.headers[":status"], 415, type);
    }
    const proto = { "content-type": "application/grpc+proto" };
    const same = await callRaw(session, "/test.Test/Echo", framed(Buffer.alloc(0)), proto);
    assert.equal(statusOf(same), 0);
    assert.equal(same.headers.date, undefined, "nobody asked what time it is");
    assert.equal(statusOf(await callRaw(session, "/test.Test/Echo", framed(Buffer.alloc(0)))), 0);
  });

  it("repeats no more than a little of what it does not know", async () => {
    const long = "x".repeat(20_000);
    const answers = [
      await callRaw(session, `/test.Test/${long}`, framed(Buffer.alloc(0))),
      await callRaw(session, "/test.Test/Echo", framed(Buffer.alloc(0)), { "grpc-encoding": long }),
    ];
    for (const answer of answers) {
      assert.equal(statusOf(answer), 12);
      assert.ok(String(answer.trailers["grpc-message"]).length <= 1_024);
    }
  });

  it("ignores metadata that it does not know", async () => {
    const metadata = { "x-cluster": "c", traceparent: "00-0-0-00", "x-scope-orgid": "t" };
    const answer = await callRaw(session, "/test.Test/Echo", framed(Buffer.from("x")), metadata);
    assert.equal(statusOf(answer), 0);
  });

  it("tells the leader in the trailer of a refusal", async () => {
    const call = client.callBytes("/test.Test/Refuse", new Uint8Array(0));
    const error = await call.catch((failure: unknown) => failure);
    assert.ok(error instanceof CallError);
    assert.equal(error.code, 14);
    assert.deepEqual(error.hint, { id: "node-1", address: "127.0.0.1:9100" });
  });

  it("keeps deadlines, and tells the service when nobody waits any more", async () => {
    // Long enough for the service to be given the call.
    await withMoreTime(50, async (timeoutMs) => {
      rig.waiting.length = 0;
      rig.settled = 0;
      const late = callRaw(session, "/test.Test/Wait", framed(Buffer.alloc(0)), {
        "grpc-timeout": `${timeoutMs}m`,
      });
      assert.equal(statusOf(await late), 4);
      assert.equal(rig.settled, 1);
      assert.equal(rig.waiting[0]?.isSettled, true);
    });
    const gone = new GrpcClient(rig.address);
    const call = code(gone.callBytes("/test.Test/Wait", new Uint8Array(0)));
    await rig.untilWaiting(2);
    gone.close();
    session.ref();
    const raw = session.request({
      ":method": "POST",
      ":path": "/test.Test/Wait",
      "content-type": "application/grpc",
    });
    raw.on("error", () => {});
    raw.end(framed(Buffer.alloc(0)));
    await rig.untilWaiting(3);
    raw.close(8);
    while (rig.settled < 2) await turn();
    assert.ok((rig.codes()["1"] ?? 0) >= 1, "no call was counted as cancelled");
    void call.catch(() => {});
  });

  it("answers as many pings as come, also on a connection without calls", async () => {
    const idle = await openRaw(rig.address);
    let goAway = false;
    idle.on("goaway", () => {
      goAway = true;
    });
    for (let i = 0; i < 200; i++) {
      await new Promise<void>((resolve, reject) => {
        idle.ping((error) => (error === null ? resolve() : reject(error)));
      });
    }
    assert.equal(goAway, false);
    assert.equal(statusOf(await callRaw(idle, "/test.Test/Echo", framed(Buffer.alloc(0)))), 0);
    idle.destroy();
  });

  it("keeps a connection whose client gives up thousands of calls at once", async (t) => {
    const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
    // What the library allows otherwise cannot be changed there: docs/pyroscope.md.
    if (major < 22 || (major === 22 && minor < 10)) return t.skip("Node.js before 22.10");
    const rig = await Rig.open();
    const other = await openRaw(rig.address);
    const count = 3_000;
    const streams = Array.from({ length: count }, () => {
      const stream = other.request({
        ":method": "POST",
        ":path": "/test.Test/Wait",
        "content-type": "application/grpc",
      });
      stream.on("error", () => {});
      stream.end(framed(Buffer.alloc(0)));
      return stream;
    });
    await rig.untilWaiting(count);
    for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
    await until("all are given up", () => rig.settled === count);
    assert.equal(statusOf(await callRaw(other, "/test.Test/Echo", framed(Buffer.alloc(0)))), 0);
    other.destroy();
    rig.close();
  });

  it("counts calls by method and code", () => {
    const { requests, protocol } = rig.edge.metrics();
    assert.equal(protocol, "grpc");
    const echo = requests.filter(({ route }) => route === "/test.Test/Echo");
    assert.ok(echo.some((count) => count.code === 0));
    assert.ok(echo.some((count) => count.code === 3));
    assert.ok(requests.some(({ route }) => route === "unknown"));
  });
});

describe("the end of a gRPC endpoint", { timeout: 240_000 }, () => {
  it("a connection on which nobody speaks HTTP/2 is closed, and no other", () =>
    withMoreTime(200, async (handshakeTimeoutMs) => {
      const rig = await Rig.open({ handshakeTimeoutMs });
      const [host = "", port = ""] = rig.address.split(":");
      const sockets: Socket[] = [];
      const open = async (bytes: Buffer): Promise<{ isClosed: boolean }> => {
        const socket = connect(Number(port), host);
        sockets.push(socket);
        const state = { isClosed: false };
        socket.on("error", () => {});
        socket.on("close", () => {
          state.isClosed = true;
        });
        socket.resume();
        await new Promise((resolve) => socket.once("connect", resolve));
        socket.write(bytes);
        return state;
      };
      try {
        // Settings without a single one of them, as clients send them that have none.
        const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        const noSettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
        const client = await open(Buffer.concat([preface, noSettings]));
        // The others come later, so that the time of the client would be up before theirs.
        await until("it is taken", () => rig.edge.connectionCount === 1);
        const silent = await open(Buffer.alloc(0));
        const slow = await open(preface.subarray(0, 10));
        await until("the others are closed", () => silent.isClosed && slow.isClosed);
        assert.equal(client.isClosed, false);
        assert.equal(rig.edge.connectionCount, 1);
        assert.deepEqual(rig.edge.metrics().rejected, { no_http2: 2 });
      } finally {
        for (const socket of sockets) socket.destroy();
        rig.close();
      }
    }));

  it("is told by GOAWAY, and not before; until then calls are refused with the leader", async () => {
    const rig = await Rig.open();
    const session = await openRaw(rig.address);
    let goAway = false;
    session.on("goaway", () => {
      goAway = true;
    });
    const watch = new GrpcClient(rig.address);
    const seen: unknown[] = [];
    const { ended } = watch.stream(
      "/grpc.health.v1.Health/Watch",
      { service: "pyroscope.metastore" },
      ({ status }) => seen.push(status),
    );
    while (seen.length === 0) await turn();
    const waits = callRaw(session, "/test.Test/Wait", framed(Buffer.alloc(0)));
    await rig.untilWaiting(1);
    rig.edge.receive({ ...NEWS, health: "notServing" });
    rig.edge.stopListening();
    const refused = await callRaw(session, "/test.Test/Echo", framed(Buffer.alloc(0)));
    assert.equal(statusOf(refused), 14);
    const write = await callRaw(session, "/test.Test/Wait", framed(Buffer.alloc(0)));
    const details = Buffer.from(String(write.trailers["grpc-status-details-bin"]), "base64");
    const { details: hints } = decodeMessage("google.rpc.Status", details);
    assert.equal((hints as unknown[]).length, 1);
    assert.equal(goAway, false);
    // What was taken is answered.
    rig.waiting[0]?.reply((sink) => sink.appendWords(1, 2));
    assert.equal(statusOf(await waits), 0);
    rig.edge.closeConnections();
    assert.equal(await ended, 14);
    while (!goAway) await turn();
    assert.deepEqual(seen, ["SERVING", "NOT_SERVING"]);
    rig.edge.close();
    watch.close();
    session.destroy();
  });

  it("health is unknown until the node is up, and watches see it change", async () => {
    const rig = await Rig.open();
    rig.edge.receive({ ...NEWS, health: "starting" });
    const client = new GrpcClient(rig.address);
    const seen: unknown[] = [];
    const request = { service: "pyroscope.metastore" };
    const watch = client.stream("/grpc.health.v1.Health/Watch", request, ({ status }) =>
      seen.push(status),
    );
    while (seen.length < 1) await turn();
    assert.equal(await code(client.call("/grpc.health.v1.Health/Check", request)), 5);
    assert.deepEqual(await client.call("/grpc.health.v1.Health/Check"), { status: "SERVING" });
    rig.edge.receive(NEWS);
    while (seen.length < 2) await turn();
    rig.edge.receive(NEWS);
    rig.edge.receive({ ...NEWS, health: "notServing" });
    while (seen.length < 3) await turn();
    const check = await client.call("/grpc.health.v1.Health/Check", request);
    assert.deepEqual(check, { status: "NOT_SERVING" });
    assert.deepEqual(seen, ["SERVICE_UNKNOWN", "SERVING", "NOT_SERVING"]);
    watch.cancel();
    client.close();
    rig.close();
  });

  it("a watch ends when its time is up, and is refused when that cannot be read", async () => {
    const rig = await Rig.open();
    const session = await openRaw(rig.address);
    const path = "/grpc.health.v1.Health/Watch";
    const request = framed(new Uint8Array(0));
    const answer = await callRaw(session, path, request, { "grpc-timeout": "30m" });
    assert.equal(statusOf(answer), 4);
    // The empty name is serving, which it was told before.
    assert.deepEqual(answer.body, framed(Buffer.from([8, 1])));
    assert.equal(statusOf(await callRaw(session, path, request, { "grpc-timeout": "soon" })), 3);
    session.destroy();
    rig.close();
  });

  it("a watch may be asked for in packed form, and is refused when it cannot be unpacked", async () => {
    const rig = await Rig.open();
    const session = await openRaw(rig.address);
    const path = "/grpc.health.v1.Health/Watch";
    const request = encodeMessage("grpc.health.v1.HealthCheckRequest", {
      service: "pyroscope.metastore",
    });
    const bad = await callRaw(session, path, framed(request, 1), { "grpc-encoding": "gzip" });
    assert.equal(statusOf(bad), 3);
    const watch = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      "grpc-encoding": "gzip",
    });
    watch.on("error", () => {});
    watch.end(framed(gzipSync(request), 1));
    const told = await new Promise<Buffer>((resolve) => watch.once("data", resolve));
    const answer = decodeMessage("grpc.health.v1.HealthCheckResponse", told.subarray(5));
    assert.deepEqual(answer, { status: "SERVING" });
    session.destroy();
    rig.close();
  });
});

describe("gRPC over TLS", { timeout: 240_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), "hearth-tls-"));
  const authority = issueCertificate("test authority");
  const server = issueCertificate("localhost", authority);
  const worker = issueCertificate("worker", authority);
  const stranger = issueCertificate("stranger");

  before(() => {
    writeFileSync(join(directory, "ca.pem"), authority.certPem);
    writeFileSync(join(directory, "cert.pem"), server.certPem);
    writeFileSync(join(directory, "key.pem"), server.keyPem);
  });

  after(() => rmSync(directory, { recursive: true, force: true }));

  async function openTls(clientAuth: NonNullable<GrpcOptions["tls"]>["clientAuth"]): Promise<Rig> {
    return Rig.open({
      tls: {
        certPath: join(directory, "cert.pem"),
        keyPath: join(directory, "key.pem"),
        caPath: join(directory, "ca.pem"),
        clientAuth,
      },
    });
  }

  function clientOf(rig: Rig, own?: Issued): GrpcClient {
    const ca = Buffer.from(authority.certPem);
    const pair =
      own === undefined ? [null, null] : [Buffer.from(own.keyPem), Buffer.from(own.certPem)];
    return new GrpcClient(rig.address, credentials.createSsl(ca, pair[0], pair[1]));
  }

  async function isAccepted(rig: Rig, own?: Issued): Promise<boolean> {
    const client = clientOf(rig, own);
    try {
      await client.callBytes("/test.Test/Echo", Buffer.from("x"), { timeoutMs: 60_000 });
      return true;
    } catch (error) {
      assert.ok(error instanceof CallError);
      return false;
    } finally {
      client.close();
    }
  }

  it("asks clients for as much as it is told", async () => {
    const table = [
      ["NoClientCert", true, true, true],
      ["RequestClientCert", true, true, true],
      ["RequireAnyClientCert", false, true, true],
      ["VerifyClientCertIfGiven", true, true, false],
      ["RequireAndVerifyClientCert", false, true, false],
    ] as const;
    for (const [clientAuth, none, good, bad] of table) {
      const rig = await openTls(clientAuth);
      assert.equal(await isAccepted(rig), none, `${clientAuth}, without a certificate`);
      assert.equal(await isAccepted(rig, worker), good, `${clientAuth}, with a good one`);
      assert.equal(await isAccepted(rig, stranger), bad, `${clientAuth}, with a bad one`);
      rig.close();
    }
  });

  it("plain text is not understood", async () => {
    const rig = await openTls("NoClientCert");
    const client = new GrpcClient(rig.address);
    assert.equal(
      await code(client.callBytes("/test.Test/Echo", Buffer.from("x"), { timeoutMs: 60_000 })),
      14,
    );
    client.close();
    rig.close();
  });

  it("files that are none are a typed error", async () => {
    const tls = {
      certPath: "/nowhere",
      keyPath: "/nowhere",
      caPath: "",
      clientAuth: "NoClientCert",
    } as const;
    await assert.rejects(Rig.open({ tls }), {
      code: "failed_precondition",
      reason: "bad_tls_files",
    });
  });
});
