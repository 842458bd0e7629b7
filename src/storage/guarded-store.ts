/**
 * What every store needs around it, once: the configured prefix, a time limit for each operation, counts for metrics,
 * and the check that a list ascends. A store that repeats itself would otherwise be read for ever.
 */
import { isHearthError } from "../base/index.ts";
import { listingStuck, storageTimeout } from "./errors.ts";
import { checkKey, checkPrefix, compareKeys } from "./keys.ts";
import type { CallOptions, GetOptions, ListOptions, ObjectInfo, ObjectStore } from "./types.ts";

/** Names of the reference's `objstore_bucket_operations_total`. */
export type StorageOperation = "iter" | "get" | "get_range" | "upload" | "delete" | "attributes";

export interface StorageOutcome {
  readonly operation: StorageOperation;
  readonly durationMs: number;
  /** Null: it went well, also when there was no such object. */
  readonly failure: string | null;
}

export interface GuardOptions {
  readonly prefix: string;
  readonly timeoutMs: number;
  /**
   * Whether an operation that is given up is told so by a signal of its own: one that holds a connection has to end it. False:
   * it gets the signal of the caller, and is left alone when the time is over.
   */
  readonly tellsOperations: boolean;
  readonly monotonicMs: () => number;
  readonly onOutcome?: ((outcome: StorageOutcome) => void) | undefined;
}

const WORDS = {
  iter: "list",
  get: "read",
  get_range: "read",
  upload: "write",
  delete: "delete",
  attributes: "look up",
} as const satisfies Record<StorageOperation, string>;

export class GuardedStore implements ObjectStore {
  readonly name: string;
  readonly #store: ObjectStore;
  readonly #options: GuardOptions;
  readonly #prefix: string;

  /** Errors: `bad_object_key` for a prefix that no key can have. */
  constructor(options: GuardOptions, store: ObjectStore) {
    const words = options.prefix.replace(/^\/+|\/+$/g, "");
    checkPrefix(words);
    this.#prefix = words === "" ? "" : `${words}/`;
    this.#store = store;
    this.#options = options;
    this.name = words === "" ? store.name : `${store.name}/${words}`;
  }

  async *list(options: ListOptions): AsyncGenerator<readonly ObjectInfo[]> {
    checkPrefix(options.prefix);
    const prefix = `${this.#prefix}${options.prefix}`;
    const inner: ListOptions = {
      ...options,
      prefix,
      ...(options.after ? { after: `${this.#prefix}${options.after}` } : {}),
    };
    const pages = this.#store.list(inner)[Symbol.asyncIterator]();
    let previous = options.after ?? "";
    try {
      for (;;) {
        const page = await this.#run("iter", options.prefix, options, () => pages.next());
        if (page.done === true) return;
        const objects = page.value.map((info) => this.#outer(info));
        for (const { key } of objects) {
          const isBehind = previous === "" || compareKeys(previous, key) < 0;
          if (!isBehind || !key.startsWith(options.prefix))
            throw listingStuck(this.name, key, previous);
          previous = key;
        }
        yield objects;
      }
    } finally {
      // Not awaited: a page that hangs would hold the caller, who has given up.
      void pages.return?.()?.catch?.(() => {});
    }
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array | null> {
    checkKey(key);
    const operation = options.range === undefined ? "get" : "get_range";
    return this.#run(operation, key, options, (signal) =>
      this.#store.get(`${this.#prefix}${key}`, withSignal(options, signal)),
    );
  }

  async put(key: string, bytes: Uint8Array, options: CallOptions = {}): Promise<void> {
    checkKey(key);
    return this.#run("upload", key, options, (signal) =>
      this.#store.put(`${this.#prefix}${key}`, bytes, withSignal({}, signal)),
    );
  }

  async delete(key: string, options: CallOptions = {}): Promise<void> {
    checkKey(key);
    return this.#run("delete", key, options, (signal) =>
      this.#store.delete(`${this.#prefix}${key}`, withSignal({}, signal)),
    );
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectInfo | null> {
    checkKey(key);
    const info = await this.#run("attributes", key, options, (signal) =>
      this.#store.head(`${this.#prefix}${key}`, withSignal({}, signal)),
    );
    return info === null ? null : this.#outer(info);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #outer(info: ObjectInfo): ObjectInfo {
    return this.#prefix === "" ? info : { ...info, key: info.key.slice(this.#prefix.length) };
  }

  /** Runs one operation with a limit. One that does not end is left behind, its outcome no longer looked at. */
  async #run<T>(
    operation: StorageOperation,
    what: string,
    { signal }: CallOptions,
    body: (signal: AbortSignal | undefined) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const { monotonicMs, onOutcome } = this.#options;
    const startMs = monotonicMs();
    let failure: string | null = null;
    try {
      return await this.#limited(operation, what, signal, body);
    } catch (error) {
      failure = isHearthError(error) ? error.reason : "cancelled";
      throw error;
    } finally {
      onOutcome?.({ operation, durationMs: monotonicMs() - startMs, failure });
    }
  }

  #limited<T>(
    operation: StorageOperation,
    what: string,
    signal: AbortSignal | undefined,
    body: (signal: AbortSignal | undefined) => Promise<T>,
  ): Promise<T> {
    const { timeoutMs, tellsOperations } = this.#options;
    // Making one takes longer than reading a small file.
    const abort = tellsOperations ? new AbortController() : null;
    return new Promise<T>((resolve, reject) => {
      const giveUp = (reason: unknown): void => {
        end();
        reject(reason);
        abort?.abort(reason);
      };
      const onAbort = (): void => giveUp(signal?.reason);
      const timer = setTimeout(
        () => giveUp(storageTimeout(WORDS[operation], what, timeoutMs)),
        timeoutMs,
      );
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      body(abort?.signal ?? signal).then(
        (value) => {
          end();
          resolve(value);
        },
        (error: unknown) => {
          end();
          reject(error);
        },
      );
    });
  }
}

function withSignal<T extends CallOptions>(options: T, signal: AbortSignal | undefined): T {
  return signal === undefined ? options : { ...options, signal };
}
