/** The S3 store over TLS: whom it believes, and the whole contract against moto behind a certificate of our own. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { S3ObjectStore } from "../../src/storage/s3/s3-store.ts";
import { issueCertificate } from "../support/grpc/certificates.ts";
import { bytesOf, describeContract, reasonOf, textOf } from "../support/storage/contract.ts";
import { findMoto, type MotoServer, startMoto } from "../support/storage/moto.ts";
import { storeAt } from "../support/storage/s3-client.ts";
import { startTlsFront, type TlsFront } from "../support/storage/tls-front.ts";

const NAME = "s3.store.test";
const authority = issueCertificate("authority.store.test");
const certificate = issueCertificate(NAME, authority);
const moto = await findMoto();

let directory = "";
let caPath = "";
before(() => {
  directory = mkdtempSync(join(tmpdir(), "hearth-s3-tls-"));
  caPath = join(directory, "ca.pem");
  writeFileSync(caPath, authority.certPem);
});
after(() => rmSync(directory, { recursive: true }));

describe("S3 over TLS", () => {
  let plain: Server;
  let front: TlsFront;
  let requests = 0;
  before(async () => {
    plain = createServer((_, response) => {
      requests++;
      response.end("x");
    });
    await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
    front = await startTlsFront(`127.0.0.1:${(plain.address() as AddressInfo).port}`, certificate);
  });
  after(() => {
    front.close();
    plain.closeAllConnections();
    plain.close();
  });

  const store = (changes: object, name = NAME): S3ObjectStore =>
    storeAt(`${name}:${front.port}`, { isInsecure: false, ...changes });

  it("believes an authority that it is given, for a name and for an address", async () => {
    for (const name of [NAME, "127.0.0.1"]) {
      const trusting = store({ caPath }, name);
      assert.equal(textOf(await trusting.get("a")), "x");
      await trusting.close();
    }
  });

  it("sends nothing to one that nobody vouches for, or that has another name", async () => {
    const before = requests;
    for (const [changes, name] of [
      [{}, NAME],
      [{ caPath }, "other.store.test"],
    ] as const) {
      const doubting = store(changes, name);
      assert.equal(await reasonOf(doubting.get("a")), "storage_unavailable");
      assert.equal(await reasonOf(doubting.put("a", bytesOf("secret"))), "storage_unavailable");
      await doubting.close();
    }
    assert.equal(requests, before);
  });

  it("says what is wrong with the certificate", async () => {
    const doubting = store({});
    await assert.rejects(doubting.get("a"), /certificate/);
    await doubting.close();
  });

  it("takes any when it is told to", async () => {
    const careless = store({ skipVerify: true }, "other.store.test");
    assert.equal(textOf(await careless.get("a")), "x");
    await careless.close();
  });

  it("a file of authorities that is not there is told at once", () => {
    assert.throws(() => store({ caPath: join(directory, "none.pem") }), /none\.pem/);
  });
});

describe("S3 over TLS, against moto", { skip: moto.path === null ? moto.reason : false }, () => {
  let server: MotoServer;
  let front: TlsFront;
  let buckets = 0;
  const stores: S3ObjectStore[] = [];
  before(async () => {
    server = await startMoto(moto.path as string);
    front = await startTlsFront(server.endpoint, certificate);
  });
  after(async () => {
    for (const store of stores) await store.close();
    front.close();
    server.stop();
  });

  describeContract(async () => {
    const bucket = `bucket-${++buckets}`;
    const made = await fetch(`http://${server.endpoint}/${bucket}`, { method: "PUT" });
    assert.equal(made.status, 200);
    // By address: moto takes the first part of a name for a bucket.
    const endpoint = `127.0.0.1:${front.port}`;
    const store = storeAt(endpoint, { bucket, isInsecure: false, lookup: "path", caPath });
    stores.push(store);
    return store;
  });
});
