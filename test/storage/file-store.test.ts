/** The bucket in a directory: the contract of every store, and what only a directory can do wrong. */
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { FileObjectStore, GuardedStore } from "../../src/storage/index.ts";
import {
  bytesOf,
  describeContract,
  keysOf,
  reasonOf,
  textOf,
} from "../support/storage/contract.ts";

const made: string[] = [];

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "hearth-bucket-"));
  made.push(directory);
  return directory;
}

after(() => {
  for (const directory of made) rmSync(directory, { recursive: true, force: true });
});

function guarded(directory: string, prefix = ""): GuardedStore {
  const options = { prefix, timeoutMs: 60_000, monotonicMs: () => performance.now() };
  return new GuardedStore(options, new FileObjectStore({ directory }));
}

describe("directory", () => {
  describeContract(async () => new FileObjectStore({ directory: join(newDirectory(), "bucket") }));
});

describe("a file store that reads on its own thread", () => {
  describeContract(
    async () =>
      new FileObjectStore({ directory: join(newDirectory(), "bucket"), isBlocking: true }),
  );

  it("follows no links out of its root", async () => {
    const directory = newDirectory();
    const outside = newDirectory();
    writeFileSync(join(outside, "secret"), "secret");
    symlinkSync(outside, join(directory, "link"));
    symlinkSync(join(outside, "secret"), join(directory, "file"));
    const store = new FileObjectStore({ directory, isBlocking: true });
    assert.equal(await reasonOf(store.get("link/secret")), "storage_link");
    assert.equal(await reasonOf(store.get("file")), "storage_link");
    assert.deepEqual(await keysOf(store, { prefix: "" }), []);
  });
});

describe("directory behind a prefix", () => {
  describeContract(async () => guarded(newDirectory(), "team/a"));
});

describe("layout", () => {
  it("an object is the file of its key below prefix and directory", async () => {
    const directory = newDirectory();
    await guarded(directory, "/team/a/").put("dlq/1/anonymous/meta.pb", bytesOf("x"));
    assert.equal(readFileSync(join(directory, "team/a/dlq/1/anonymous/meta.pb"), "utf8"), "x");
  });

  it("what others wrote is found, whatever their umask made of it", async () => {
    const directory = newDirectory();
    mkdirSync(join(directory, "segments/1"), { recursive: true });
    writeFileSync(join(directory, "segments/1/block.bin"), "x", { mode: 0o600 });
    const store = guarded(directory);
    assert.deepEqual(await keysOf(store, { prefix: "segments/" }), ["segments/1/block.bin"]);
    assert.equal(textOf(await store.get("segments/1/block.bin")), "x");
  });

  it("deleting takes empty directories along and stops at the first that is not", async () => {
    const directory = newDirectory();
    const store = guarded(directory);
    await store.put("dlq/1/t/a/meta.pb", bytesOf("x"));
    await store.put("dlq/1/t/b/meta.pb", bytesOf("x"));
    await store.delete("dlq/1/t/a/meta.pb");
    assert.deepEqual(readdirSync(join(directory, "dlq/1/t")), ["b"]);
    await store.delete("dlq/1/t/b/meta.pb");
    assert.equal(existsSync(join(directory, "dlq")), false);
    assert.equal(existsSync(directory), true);
  });

  it("half-written objects are in no list, and old ones are swept by the next write", async () => {
    const directory = newDirectory();
    mkdirSync(join(directory, ".hearth-tmp"));
    writeFileSync(join(directory, ".hearth-tmp/old.tmp"), "half");
    writeFileSync(join(directory, ".hearth-tmp/new.tmp"), "half");
    const old = new Date(Date.now() - 2 * 3_600_000);
    utimesSync(join(directory, ".hearth-tmp/old.tmp"), old, old);
    const store = guarded(directory);
    assert.deepEqual(await keysOf(store, { prefix: "" }), []);
    await store.put("a", bytesOf("x"));
    assert.deepEqual(readdirSync(join(directory, ".hearth-tmp")), ["new.tmp"]);
  });
});

describe("links", () => {
  /** A bucket with a link to a directory and one to a file outside of it. */
  function withLinks(): { readonly store: FileObjectStore; readonly outside: string } {
    const directory = newDirectory();
    const outside = newDirectory();
    writeFileSync(join(outside, "secret"), "secret");
    mkdirSync(join(directory, "blocks"));
    symlinkSync(outside, join(directory, "blocks/away"));
    symlinkSync(join(outside, "secret"), join(directory, "blocks/link"));
    return { store: new FileObjectStore({ directory }), outside };
  }

  it("are no objects and no directories", async () => {
    const { store } = withLinks();
    assert.deepEqual(await keysOf(store, { prefix: "" }), []);
    assert.equal(await store.head("blocks/link"), null);
  });

  it("lead nowhere, for reading, writing and deleting", async () => {
    const { store, outside } = withLinks();
    assert.equal(await reasonOf(store.get("blocks/link")), "storage_link");
    assert.equal(await reasonOf(store.get("blocks/away/secret")), "storage_link");
    assert.equal(await reasonOf(store.head("blocks/away/secret")), "storage_link");
    assert.equal(await reasonOf(store.delete("blocks/away/secret")), "storage_link");
    assert.equal(await reasonOf(store.put("blocks/away/new", bytesOf("x"))), "storage_link");
    assert.equal(await reasonOf(store.put("blocks/away/sub/new", bytesOf("x"))), "storage_link");
    assert.deepEqual(readdirSync(outside), ["secret"]);
  });

  it("the root itself may be one", async () => {
    const directory = newDirectory();
    const link = join(newDirectory(), "bucket");
    symlinkSync(directory, link);
    const store = new FileObjectStore({ directory: link });
    await store.put("a/b", bytesOf("x"));
    assert.equal(textOf(await store.get("a/b")), "x");
    assert.deepEqual(await keysOf(store, { prefix: "" }), ["a/b"]);
  });
});

describe("refusals of the system", () => {
  it("a root that is a file is an error of its own, not an empty bucket", async () => {
    const path = join(newDirectory(), "file");
    writeFileSync(path, "x");
    const store = new FileObjectStore({ directory: path });
    assert.equal(await reasonOf(keysOf(store, { prefix: "" })), "storage_unavailable");
    assert.equal(await reasonOf(store.put("a", bytesOf("x"))), "storage_unavailable");
  });

  it("missing rights are named", {
    skip: process.getuid?.() === 0 ? "root may everything" : false,
  }, async () => {
    const directory = newDirectory();
    const store = new FileObjectStore({ directory });
    await store.put("a/b", bytesOf("x"));
    chmodSync(join(directory, "a"), 0o000);
    assert.equal(await reasonOf(keysOf(store, { prefix: "" })), "storage_denied");
    assert.equal(await reasonOf(store.get("a/b")), "storage_denied");
    chmodSync(join(directory, "a"), 0o700);
  });

  it("pipes and directories are no objects", async () => {
    const directory = newDirectory();
    mkdirSync(join(directory, "a/b"), { recursive: true });
    const store = new FileObjectStore({ directory });
    assert.equal(await store.get("a/b"), null);
    assert.equal(await store.head("a/b"), null);
  });
});
