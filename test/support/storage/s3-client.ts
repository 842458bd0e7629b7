/** A client of an S3 server of a test. */
import type { S3Options } from "../../../src/storage/s3/options.ts";
import { S3ObjectStore } from "../../../src/storage/s3/s3-store.ts";

export function storeAt(endpoint: string, changes: Partial<S3Options> = {}): S3ObjectStore {
  const options: S3Options = {
    endpoint,
    region: "us-east-1",
    bucket: "bucket",
    accessKeyId: "id",
    secretAccessKey: "secret",
    isInsecure: true,
    lookup: "auto",
    caPath: "",
    skipVerify: false,
    ...changes,
  };
  return new S3ObjectStore(options, {
    environment: {},
    monotonicMs: () => performance.now(),
    nowMs: () => Date.now(),
    // No wait: tests of repetition need not be slow.
    random: () => 0,
    // Every name is this machine.
    lookup: (_name, options, done) =>
      options.all === true
        ? done(null, [{ address: "127.0.0.1", family: 4 }])
        : done(null, "127.0.0.1", 4),
  });
}
