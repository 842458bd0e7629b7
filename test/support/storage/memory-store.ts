/** An object store in memory, which can be told to fail. */
import { HearthError } from "../../../src/base/index.ts";
import {
  compareKeys,
  type GetOptions,
  type ListOptions,
  type ObjectInfo,
  type ObjectStore,
} from "../../../src/storage/index.ts";

export class MemoryStore implements ObjectStore {
  readonly name = "memory";
  readonly objects = new Map<string, Uint8Array>();
  /** Keys in the order in which they were put. */
  readonly puts: string[] = [];
  /** Keys whose operations fail, with the reason. */
  readonly failures = new Map<string, string>();

  async *list({ prefix, after = "" }: ListOptions): AsyncGenerator<readonly ObjectInfo[]> {
    this.#check(prefix);
    const keys = [...this.objects.keys()].filter(
      (key) => key.startsWith(prefix) && (after === "" || compareKeys(key, after) > 0),
    );
    for (let i = 0; i < keys.length; i += 100) {
      const page = keys.sort(compareKeys).slice(i, i + 100);
      yield page.map((key) => this.#info(key) as ObjectInfo);
    }
  }

  async get(key: string, { range }: GetOptions = {}): Promise<Uint8Array | null> {
    this.#check(key);
    const bytes = this.objects.get(key);
    if (bytes === undefined) return null;
    return Uint8Array.from(range === undefined ? bytes : bytes.subarray(range.start, range.end));
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    this.#check(key);
    this.objects.set(key, Uint8Array.from(bytes));
    this.puts.push(key);
  }

  async delete(key: string): Promise<void> {
    this.#check(key);
    this.objects.delete(key);
  }

  async head(key: string): Promise<ObjectInfo | null> {
    this.#check(key);
    return this.#info(key);
  }

  async close(): Promise<void> {}

  #info(key: string): ObjectInfo | null {
    const bytes = this.objects.get(key);
    return bytes === undefined ? null : { key, sizeBytes: bytes.length, modifiedAtMs: 0 };
  }

  #check(key: string): void {
    const reason = this.failures.get(key);
    if (reason === undefined) return;
    throw new HearthError("unavailable", `Told to fail at ${key}`, { reason });
  }
}
