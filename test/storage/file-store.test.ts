/** The bucket in a directory: the contract of every store, and what only a directory can do wrong. */
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  promises,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { utimes } from "node:fs/promises";
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
  const options = {
    prefix,
    timeoutMs: 60_000,
    tellsOperations: false,
    monotonicMs: () => performance.now(),
  };
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

describe("a file store that works in a thread", () => {
  const COUNT = 130;
  const stores: FileObjectStore[] = [];
  after(async () => {
    for (const store of stores) await store.close();
  });

  /** A store in a directory where a long list is under way, so that everything goes through the thread. */
  async function busy(directory: string): Promise<FileObjectStore> {
    for (let i = 0; i < COUNT; i++) {
      const path = join(directory, "bulk", String(i).padStart(4, "0"));
      mkdirSync(path, { recursive: true });
      writeFileSync(join(path, "x"), `object ${i}`);
    }
    const store = new FileObjectStore({ directory });
    stores.push(store);
    const list = store.list({ prefix: "bulk/", pageMaxCount: 50 });
    for (let pages = 0; pages < 3; pages++) await list.next();
    return store;
  }

  describeContract(async () => {
    const directory = newDirectory();
    const store = await busy(directory);
    const options = {
      prefix: "team/a",
      timeoutMs: 60_000,
      tellsOperations: false,
      monotonicMs: () => performance.now(),
    };
    return new GuardedStore(options, store);
  });

  it("lists, reads and deletes hundreds, and leaves no directories", async () => {
    const directory = newDirectory();
    const store = await busy(directory);
    const lane = async (key: string): Promise<string | null> => {
      const text = textOf(await store.get(key));
      assert.equal((await store.head(key))?.key, key);
      await store.delete(key);
      assert.equal(await store.get(key), null);
      return text;
    };
    const texts: (string | null)[] = [];
    for await (const page of store.list({ prefix: "bulk/", pageMaxCount: 40 }))
      texts.push(...(await Promise.all(page.map(({ key }) => lane(key)))));
    assert.deepEqual(
      texts,
      Array.from({ length: COUNT }, (_, i) => `object ${i}`),
    );
    assert.equal(existsSync(join(directory, "bulk")), false);
  });

  it("goes on behind the last key when the thread has forgotten the list", async () => {
    const store = await busy(newDirectory());
    // More lists than the thread remembers, read in turns.
    const lists = Array.from({ length: 20 }, () =>
      store.list({ prefix: "bulk/", pageMaxCount: 30 }),
    );
    const counts = lists.map(() => 0);
    for (let isOver = false; !isOver; ) {
      isOver = true;
      for (const [i, list] of lists.entries()) {
        const page = await list.next();
        if (page.done === true) continue;
        counts[i] = (counts[i] as number) + page.value.length;
        isOver = false;
      }
    }
    assert.deepEqual(
      counts,
      lists.map(() => COUNT),
    );
  });

  it("refuses links, and gives errors by name", async () => {
    const directory = newDirectory();
    const outside = newDirectory();
    const store = await busy(directory);
    writeFileSync(join(outside, "secret"), "secret");
    symlinkSync(outside, join(directory, "link"));
    assert.equal(await reasonOf(store.get("link/secret")), "storage_link");
    assert.equal(await reasonOf(store.head("link/secret")), "storage_link");
    assert.equal(await reasonOf(store.delete("link/secret")), "storage_link");
    assert.equal(await reasonOf(store.get("bulk/0007/x", { maxBytes: 3 })), "object_too_large");
    assert.deepEqual(readdirSync(outside), ["secret"]);
  });

  it("an operation that waits behind others is left out when its caller has gone", async () => {
    const store = await busy(newDirectory());
    const abort = new AbortController();
    const first = store.get("bulk/0001/x");
    const second = store.delete("bulk/0002/x", { signal: abort.signal });
    abort.abort(new Error("not any more"));
    await assert.rejects(second, /not any more/);
    assert.equal(textOf(await first), "object 1");
    assert.equal(textOf(await store.get("bulk/0002/x")), "object 2");
  });
});

describe("empty directories", () => {
  const OLD = new Date(Date.now() - 2 * 3_600_000);

  it("that are old go with a list that is asked to take them, young ones and all others stay", async () => {
    const directory = newDirectory();
    for (const name of ["dlq/1/t/old", "dlq/1/t/young", "dlq/2/old", "other/old"])
      mkdirSync(join(directory, name), { recursive: true });
    writeFileSync(join(directory, "dlq/1/t/meta.pb"), "x");
    for (const name of ["dlq/1/t/old", "dlq/2/old", "dlq/1/t", "other/old"])
      utimesSync(join(directory, name), OLD, OLD);
    const store = guarded(directory);
    const keys = ["dlq/1/t/meta.pb"];
    assert.deepEqual(await keysOf(store, { prefix: "dlq/" }), keys);
    assert.equal(existsSync(join(directory, "dlq/1/t/old")), true);
    assert.deepEqual(await keysOf(store, { prefix: "dlq/", removesEmpty: true }), keys);
    assert.deepEqual(readdirSync(join(directory, "dlq/1/t")).sort(), ["meta.pb", "young"]);
    assert.deepEqual(readdirSync(join(directory, "dlq/2")), []);
    assert.equal(existsSync(join(directory, "other/old")), true);
  });

  it("are made again by a write that loses its directory while it makes it", async (t) => {
    const directory = newDirectory();
    const { mkdir } = promises;
    let losses = 0;
    // As the system has it when a rival removes what was just found to be there.
    t.mock.method(promises, "mkdir", (async (path, options) => {
      if (path === join(directory, "dlq/1") && losses++ === 0)
        throw Object.assign(new Error("ENOENT, mkdir"), { code: "ENOENT" });
      return mkdir(path, options);
    }) as typeof mkdir);
    const store = guarded(directory);
    await store.put("dlq/1/meta.pb", bytesOf("x"));
    assert.ok(losses > 1);
    assert.equal(textOf(await store.get("dlq/1/meta.pb")), "x");
  });

  it("are made again by a write that loses its directory", async () => {
    const directory = newDirectory();
    const store = guarded(directory);
    const lister = guarded(directory);
    let isWriting = true;
    let writes = 0;
    const list = async (): Promise<void> => {
      for (let aged = -1; isWriting; ) {
        // Once per write: directories that it has just made are young, and it would not try for ever.
        for (const shard of aged === writes ? [] : ["1", "2"]) {
          // The lister's own removal may still be under way.
          await utimes(join(directory, "dlq", shard), OLD, OLD).catch(ignoreMissing);
        }
        aged = writes;
        await keysOf(lister, { prefix: "dlq/", removesEmpty: true });
      }
    };
    const listing = list();
    for (let i = 0; i < 200; i++) {
      const key = `dlq/${1 + (i % 2)}/meta.pb`;
      writes += 1;
      await store.put(key, bytesOf(String(i)));
      assert.equal(textOf(await store.get(key)), String(i));
      await store.delete(key);
      mkdirSync(join(directory, "dlq", String(1 + (i % 2))), { recursive: true });
    }
    isWriting = false;
    await listing;
  });
});

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}

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

  it("a place where nobody may write is named, to root too", {
    skip: existsSync("/sys/kernel") ? false : "there is no /sys",
  }, async () => {
    const store = new FileObjectStore({ directory: "/sys/kernel/hearth-bucket" });
    assert.equal(await reasonOf(store.put("a/b", bytesOf("x"))), "storage_denied");
    assert.deepEqual(await keysOf(store, { prefix: "" }), []);
  });

  it("pipes and directories are no objects", async () => {
    const directory = newDirectory();
    mkdirSync(join(directory, "a/b"), { recursive: true });
    const store = new FileObjectStore({ directory });
    assert.equal(await store.get("a/b"), null);
    assert.equal(await store.head("a/b"), null);
  });
});
