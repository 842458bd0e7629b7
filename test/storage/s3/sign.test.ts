/** Signatures against the worked examples in the documentation of AWS, credentials, and the little XML. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { CredentialProvider } from "../../../src/storage/s3/credentials.ts";
import { encodePath, type SignedRequest, signedHeaders } from "../../../src/storage/s3/sign.ts";
import { elements, textOf } from "../../../src/storage/s3/xml.ts";

const CREDENTIALS = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
  sessionToken: "",
};
const SCOPE = { region: "us-east-1", nowMs: Date.UTC(2013, 4, 24) };

function signatureOf(changes: Partial<SignedRequest>): string {
  const request = {
    method: "GET",
    host: "examplebucket.s3.amazonaws.com",
    path: "/",
    query: {},
    headers: {},
    body: new Uint8Array(0),
    ...changes,
  };
  const { authorization = "" } = signedHeaders(request, CREDENTIALS, SCOPE);
  return authorization.split("Signature=")[1] ?? "";
}

describe("signatures", () => {
  it("of a range, a list and a put are those of the documentation", () => {
    assert.equal(
      signatureOf({ path: "/test.txt", headers: { range: "bytes=0-9" } }),
      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    );
    assert.equal(
      signatureOf({ query: { "max-keys": "2", prefix: "J" } }),
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    );
    assert.equal(
      signatureOf({
        method: "PUT",
        path: encodePath("/test$file.text"),
        headers: {
          date: "Fri, 24 May 2013 00:00:00 GMT",
          "x-amz-storage-class": "REDUCED_REDUNDANCY",
        },
        body: new TextEncoder().encode("Welcome to Amazon S3."),
      }),
      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    );
  });

  it("encode what AWS encodes, and leave slashes", () => {
    assert.equal(encodePath("/a b/(c)!*'/ü~-_."), "/a%20b/%28c%29%21%2A%27/%C3%BC~-_.");
  });
});

describe("credentials", () => {
  const NONE = { accessKeyId: "", secretAccessKey: "" };

  it("come from the settings, then the environment, then the file", async () => {
    const directory = mkdtempSync(join(tmpdir(), "hearth-credentials-"));
    const file = join(directory, "credentials");
    writeFileSync(
      file,
      "[other]\naws_access_key_id = no\n[team]\naws_access_key_id = file\naws_secret_access_key=s=1\n",
    );
    const monotonicMs = (): number => 0;
    const shared = { AWS_SHARED_CREDENTIALS_FILE: file, AWS_PROFILE: "team" };
    const variables = { AWS_ACCESS_KEY_ID: "env", AWS_SECRET_ACCESS_KEY: "x", ...shared };
    const get = (own: typeof NONE, environment: Record<string, string>) =>
      new CredentialProvider(own, { environment, monotonicMs }).get();
    const own = { accessKeyId: "own", secretAccessKey: "y" };
    assert.equal((await get(own, variables)).accessKeyId, "own");
    assert.equal((await get(NONE, variables)).accessKeyId, "env");
    assert.deepEqual(await get(NONE, shared), {
      accessKeyId: "file",
      secretAccessKey: "s=1",
      sessionToken: "",
    });
    const empty = { AWS_SHARED_CREDENTIALS_FILE: join(directory, "missing") };
    await assert.rejects(get(NONE, empty), { reason: "storage_denied" });
    rmSync(directory, { recursive: true });
  });

  it("that were rotated are read again after a while, and after a refusal", async () => {
    let nowMs = 0;
    const environment = { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" };
    const provider = new CredentialProvider(NONE, { environment, monotonicMs: () => nowMs });
    await provider.get();
    environment.AWS_ACCESS_KEY_ID = "new";
    assert.equal((await provider.get()).accessKeyId, "a");
    nowMs = 300_000;
    assert.equal((await provider.get()).accessKeyId, "new");
    environment.AWS_ACCESS_KEY_ID = "newer";
    provider.forget();
    assert.equal((await provider.get()).accessKeyId, "newer");
  });
});

describe("XML", () => {
  it("is read by names, unescaped once, and never expanded", () => {
    const xml =
      '<?xml version="1.0"?><R xmlns="x"><Key>a&amp;lt;&#x41;</Key><Keys>no</Keys><Key>b</Key></R>';
    assert.deepEqual(elements(xml, "Key"), ["a&amp;lt;&#x41;", "b"]);
    assert.equal(textOf(xml, "Key"), "a&lt;A");
    assert.equal(textOf(xml, "Missing"), "");
    assert.equal(textOf("<Key>cut", "Key"), "");
    assert.equal(textOf("<K>&bomb;&#x110000;</K>", "K"), "&bomb;&#x110000;");
  });
});
