/** A bucket in memory with times of change; a test may take over any of its operations. */
import type {
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectStore,
} from "../../../src/storage/index.ts";

export interface MemoryObject {
  bytes: Uint8Array;
  modifiedAtMs: number;
}

export class AgedStore implements ObjectStore {
  readonly name = "memory";
  readonly objects = new Map<string, MemoryObject>();
  /** Calls in order: "get key". */
  readonly calls: string[] = [];
  nowMs: () => number = () => 0;
  /** Called before each operation; may throw. */
  onCall: (operation: string, key: string) => void = () => {};

  async *list({
    prefix,
    after = "",
    pageMaxCount = 1_000,
  }: ListOptions): AsyncGenerator<readonly ObjectInfo[]> {
    this.#call("list", prefix);
    const keys = [...this.objects.keys()]
      .filter((key) => key.startsWith(prefix) && key > after)
      .sort();
    for (let i = 0; i < keys.length; i += pageMaxCount) {
      const page = keys.slice(i, i + pageMaxCount).flatMap((key) => this.#info(key) ?? []);
      if (page.length > 0) yield page;
    }
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array | null> {
    options.signal?.throwIfAborted();
    this.#call("get", key);
    return this.objects.get(key)?.bytes.slice() ?? null;
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    this.#call("put", key);
    this.objects.set(key, { bytes: bytes.slice(), modifiedAtMs: this.nowMs() });
  }

  async delete(key: string): Promise<void> {
    this.#call("delete", key);
    this.objects.delete(key);
  }

  async head(key: string): Promise<ObjectInfo | null> {
    this.#call("head", key);
    return this.#info(key);
  }

  async close(): Promise<void> {}

  #info(key: string): ObjectInfo | null {
    const object = this.objects.get(key);
    if (object === undefined) return null;
    return { key, sizeBytes: object.bytes.length, modifiedAtMs: object.modifiedAtMs };
  }

  #call(operation: string, key: string): void {
    this.calls.push(`${operation} ${key}`);
    this.onCall(operation, key);
  }
}
