/** What stands around every store: limits of time, counts, and lists that do not end. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  GuardedStore,
  type ObjectInfo,
  type ObjectStore,
  type StorageOutcome,
} from "../../src/storage/index.ts";
import { bytesOf, keysOf, reasonOf } from "../support/storage/contract.ts";

const never = <T>(): Promise<T> => new Promise<T>(() => {});

function fake(changes: Partial<ObjectStore> = {}): ObjectStore {
  return {
    name: "fake",
    async *list() {},
    get: never,
    put: never,
    delete: never,
    head: never,
    close: async () => {},
    ...changes,
  };
}

function guard(
  store: ObjectStore,
  timeoutMs = 20,
): { store: GuardedStore; outcomes: StorageOutcome[] } {
  const outcomes: StorageOutcome[] = [];
  const options = {
    prefix: "",
    timeoutMs,
    tellsOperations: false,
    monotonicMs: () => performance.now(),
    onOutcome: (o: StorageOutcome) => void outcomes.push(o),
  };
  return { store: new GuardedStore(options, store), outcomes };
}

const info = (key: string): ObjectInfo => ({ key, sizeBytes: 1, modifiedAtMs: 1 });

describe("guarded store", () => {
  it("an operation without an answer ends at the limit and is counted", async () => {
    const { store, outcomes } = guard(fake());
    assert.equal(await reasonOf(store.get("a")), "storage_timeout");
    assert.equal(await reasonOf(store.put("a", bytesOf("x"))), "storage_timeout");
    assert.equal(await reasonOf(store.delete("a")), "storage_timeout");
    assert.equal(await reasonOf(store.head("a")), "storage_timeout");
    assert.deepEqual(
      outcomes.map(({ operation, failure }) => `${operation} ${failure}`),
      [
        "get storage_timeout",
        "upload storage_timeout",
        "delete storage_timeout",
        "attributes storage_timeout",
      ],
    );
  });

  it("an operation that is given up is told so where it holds a connection", async () => {
    const signals: (AbortSignal | undefined)[] = [];
    const get: ObjectStore["get"] = (_key, options) => {
      signals.push(options?.signal);
      return never();
    };
    const options = { prefix: "", timeoutMs: 5, monotonicMs: () => performance.now() };
    const connected = new GuardedStore({ ...options, tellsOperations: true }, fake({ get }));
    assert.equal(await reasonOf(connected.get("a")), "storage_timeout");
    assert.equal(signals[0]?.aborted, true);
    const abort = new AbortController();
    const plain = new GuardedStore({ ...options, tellsOperations: false }, fake({ get }));
    assert.equal(await reasonOf(plain.get("a", { signal: abort.signal })), "storage_timeout");
    assert.equal(signals[1], abort.signal);
  });

  it("a page that never comes ends the list", async () => {
    const hanging = { [Symbol.asyncIterator]: () => ({ next: never, return: never }) };
    const { store } = guard(fake({ list: () => hanging as never }));
    assert.equal(await reasonOf(keysOf(store, { prefix: "" })), "storage_timeout");
  });

  it("the signal of the caller ends a call at once, with its own reason", async () => {
    const { store, outcomes } = guard(fake(), 10_000);
    const abort = new AbortController();
    const call = store.get("a", { signal: abort.signal });
    abort.abort(new Error("not any more"));
    await assert.rejects(call, /not any more/);
    assert.equal(outcomes[0]?.failure, "cancelled");
  });

  it("a list that repeats itself, goes back or leaves the prefix is refused", async () => {
    for (const keys of [
      ["d/a", "d/a"],
      ["d/b", "d/a"],
      ["d/a", "e/a"],
    ]) {
      async function* list(): AsyncGenerator<readonly ObjectInfo[]> {
        for (;;) for (const key of keys) yield [info(key)];
      }
      const { store } = guard(fake({ list }), 10_000);
      assert.equal(
        await reasonOf(keysOf(store, { prefix: "d/" })),
        "storage_listing_stuck",
        keys.join(),
      );
    }
  });

  it("a list that goes back behind its continuation is refused, one that goes on is not", async () => {
    async function* list(): AsyncGenerator<readonly ObjectInfo[]> {
      yield [info("d/b")];
    }
    const { store } = guard(fake({ list }), 10_000);
    assert.equal(
      await reasonOf(keysOf(store, { prefix: "d/", after: "d/b" })),
      "storage_listing_stuck",
    );
    assert.deepEqual(await keysOf(store, { prefix: "d/", after: "d/a" }), ["d/b"]);
  });
});
