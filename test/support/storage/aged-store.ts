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

/** Its keys are kept in order, so that a list costs what it shows. */
class SortedObjects extends Map<string, MemoryObject> {
  readonly #keys: string[] = [];

  override set(key: string, object: MemoryObject): this {
    if (!this.has(key)) this.#keys.splice(this.#placeOf(key), 0, key);
    return super.set(key, object);
  }

  override delete(key: string): boolean {
    if (!super.delete(key)) return false;
    this.#keys.splice(this.#placeOf(key), 1);
    return true;
  }

  override clear(): void {
    super.clear();
    this.#keys.length = 0;
  }

  /** Those behind `after` that begin with the prefix, ascending, at most so many. Owned by the caller. */
  list(prefix: string, after: string, countMax: number): string[] {
    const start = this.#placeOf(after < prefix ? prefix : `${after}\0`);
    let end = start;
    while (end - start < countMax && this.#keys[end]?.startsWith(prefix) === true) end++;
    return this.#keys.slice(start, end);
  }

  /** Position of the first key that is not below. */
  #placeOf(key: string): number {
    let start = 0;
    let end = this.#keys.length;
    while (start < end) {
      const middle = (start + end) >>> 1;
      if ((this.#keys[middle] as string) < key) start = middle + 1;
      else end = middle;
    }
    return start;
  }
}

export class AgedStore implements ObjectStore {
  readonly name = "memory";
  readonly objects = new SortedObjects();
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
    for (let place = after; ; ) {
      const keys = this.objects.list(prefix, place, pageMaxCount);
      if (keys.length === 0) return;
      yield keys.flatMap((key) => this.#info(key) ?? []);
      place = keys.at(-1) as string;
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
