/**
 * The S3 store: the contract of every store against a real server (moto, from PyPI), and what only a network can do wrong
 * against one that answers as a test says.
 */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { GuardedStore } from "../../src/storage/index.ts";
import type { S3ObjectStore } from "../../src/storage/s3/s3-store.ts";
import {
  bytesOf,
  describeContract,
  keysOf,
  reasonOf,
  textOf,
} from "../support/storage/contract.ts";
import { findMoto, type MotoServer, startMoto } from "../support/storage/moto.ts";
import { storeAt } from "../support/storage/s3-client.ts";

const moto = await findMoto();

describe("S3, against moto", { skip: moto.path === null ? moto.reason : false }, () => {
  let server: MotoServer;
  let buckets = 0;
  before(async () => {
    server = await startMoto(moto.path as string);
  });
  after(() => server.stop());

  async function bucket(): Promise<string> {
    const name = `bucket-${++buckets}`;
    const made = await fetch(`http://${server.endpoint}/${name}`, { method: "PUT" });
    assert.equal(made.status, 200);
    return name;
  }

  describe("a bucket in the path", () => {
    describeContract(async () => storeAt(server.endpoint, { bucket: await bucket() }));
  });

  describe("behind a prefix", () => {
    describeContract(async () => {
      const store = storeAt(server.endpoint, { bucket: await bucket() });
      const options = {
        prefix: "team/a",
        timeoutMs: 60_000,
        tellsOperations: true,
        monotonicMs: () => performance.now(),
      };
      return new GuardedStore(options, store);
    });
  });

  it("a list of several pages is one list", async () => {
    const store = storeAt(server.endpoint, { bucket: await bucket() });
    const keys = Array.from({ length: 25 }, (_, i) => `k/${String(i).padStart(2, "0")} +&<ü`);
    for (const key of keys) await store.put(key, bytesOf("x"));
    assert.deepEqual(await keysOf(store, { prefix: "k/", pageMaxCount: 4 }), keys);
  });

  it("a bucket that is not there is an error, not an empty one", async () => {
    const store = storeAt(server.endpoint, { bucket: "missing" });
    assert.equal(await reasonOf(keysOf(store, { prefix: "" })), "storage_unavailable");
    assert.equal(await reasonOf(store.put("a", bytesOf("x"))), "storage_unavailable");
    assert.equal(await reasonOf(store.get("a")), "storage_unavailable");
  });
});

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

describe("S3, against a server that misbehaves", () => {
  let server: Server;
  let endpoint = "";
  let answers: Answer[] = [];
  const seen: string[] = [];
  before(async () => {
    server = createServer((request, response) => {
      seen.push(`${request.method} ${request.headers.host} ${request.url}`);
      request.resume();
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      answer?.(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    endpoint = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const status =
    (code: number, body = ""): Answer =>
    (_, response) => {
      response.writeHead(code).end(body);
    };
  const gives =
    (text: string): Answer =>
    (_, response) => {
      response.end(text);
    };

  function plan(...next: Answer[]): S3ObjectStore {
    answers = next;
    seen.length = 0;
    return storeAt(endpoint);
  }

  it("faults of the server and lost connections are tried again, five times in all", async () => {
    const drop: Answer = (request) => request.socket.destroy();
    const slow = status(503, "<Error><Code>SlowDown</Code></Error>");
    assert.equal(textOf(await plan(status(500), drop, slow, gives("x")).get("a")), "x");
    assert.equal(seen.length, 4);
    assert.equal(await reasonOf(plan(status(500)).get("a")), "storage_unavailable");
    assert.equal(seen.length, 5);
  });

  it("a refusal is final, and says what the store said", async () => {
    const body = "<Error><Code>AccessDenied</Code><Message>No</Message></Error>";
    const store = plan(status(403, body));
    await assert.rejects(store.put("a", bytesOf("x")), (error: Error) => {
      assert.match(
        error.message,
        /Cannot write s3:\/\/bucket\/a: HTTP status 403: AccessDenied, No/,
      );
      return true;
    });
    assert.equal(seen.length, 1);
  });

  it("an answer that ends early is not taken for the object", async () => {
    const cut: Answer = (_, response) => {
      response.writeHead(200, { "content-length": "10" });
      response.write("12345", () => response.destroy());
    };
    assert.equal(await reasonOf(plan(cut).get("a")), "storage_unavailable");
  });

  it("an object that is too large is refused by what its length says", async () => {
    const large: Answer = (_, response) => {
      response.writeHead(200, { "content-length": "1000000" });
      response.flushHeaders();
    };
    assert.equal(await reasonOf(plan(large).get("a", { maxBytes: 10 })), "object_too_large");
  });

  it("a list that never ends is noticed", async () => {
    const page =
      "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>" +
      "<Contents><Key>a</Key><LastModified>2026-01-01T00:00:00Z</LastModified><Size>1</Size></Contents></ListBucketResult>";
    const options = {
      prefix: "",
      timeoutMs: 60_000,
      tellsOperations: true,
      monotonicMs: () => performance.now(),
    };
    const store = new GuardedStore(options, plan(gives(page)));
    assert.equal(await reasonOf(keysOf(store, { prefix: "" })), "storage_listing_stuck");
  });

  it("garbage instead of a list is not an empty list", async () => {
    const store = plan(gives("<html>hello"));
    assert.equal(await reasonOf(keysOf(store, { prefix: "" })), "storage_unavailable");
  });

  it("the name of the bucket goes where the setting says", async () => {
    answers = [gives("x")];
    for (const [lookup, host, path] of [
      ["path", endpoint, "/bucket/a%20b"],
      ["auto", endpoint, "/bucket/a%20b"],
    ] as const) {
      seen.length = 0;
      await storeAt(endpoint, { lookup }).get("a b");
      assert.deepEqual(seen, [`GET ${host} ${path}`]);
    }
    const port = endpoint.split(":")[1];
    for (const lookup of ["virtual-hosted", "auto"] as const) {
      seen.length = 0;
      const host = `s3.eu-west-2.amazonaws.com:${port}`;
      assert.equal(textOf(await storeAt(host, { lookup, bucket: "b" }).get("a")), "x");
      assert.deepEqual(seen, [`GET b.${host} /a`]);
    }
  });

  it("an abort ends the call and the waiting between two attempts", async () => {
    answers = [() => {}];
    const store = storeAt(endpoint);
    const abort = new AbortController();
    const call = store.get("a", { signal: abort.signal });
    setImmediate(() => abort.abort(new Error("enough")));
    await assert.rejects(call, /enough/);
  });
});
