/**
 * What one leader remembers of entries that stay in the queue: since when they look the way they do, and when they may be
 * tried again. Bounded; what is forgotten is tried sooner, or judged later.
 */
import type { ObjectInfo } from "../../storage/index.ts";

interface Memory {
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
  /** Monotonic ms. */
  readonly sinceMs: number;
  failures: number;
  againAtMs: number;
}

const MEMORIES_MAX = 20_000;
const RETRY_FIRST_MS = 15_000;
const RETRY_MOST_MS = 10 * 60_000;

export class EntryMemory {
  readonly #memories = new Map<string, Memory>();

  /**
   * How long the object has been as it is, ms: by the clock of the store where that makes sense, else by how long this
   * process knows it.
   */
  ageOf(info: ObjectInfo, nowMs: number, monotonicMs: number): number {
    const known = this.#memories.get(info.key);
    const isSame = known?.sizeBytes === info.sizeBytes && known.modifiedAtMs === info.modifiedAtMs;
    const knownMs = isSame ? monotonicMs - known.sinceMs : 0;
    return Math.max(nowMs - info.modifiedAtMs, knownMs);
  }

  /** It stays; `isFailure`: and is not tried again for a while, longer each time. */
  keep(info: ObjectInfo, monotonicMs: number, isFailure: boolean): void {
    const { key, sizeBytes, modifiedAtMs } = info;
    const known = this.#memories.get(key);
    const isSame = known?.sizeBytes === sizeBytes && known.modifiedAtMs === modifiedAtMs;
    const memory: Memory = isSame
      ? known
      : { sizeBytes, modifiedAtMs, sinceMs: monotonicMs, failures: 0, againAtMs: 0 };
    if (isFailure) {
      const delayMs = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** memory.failures);
      memory.failures = Math.min(memory.failures + 1, 16);
      memory.againAtMs = monotonicMs + delayMs;
    }
    this.#memories.delete(key);
    this.#memories.set(key, memory);
    if (this.#memories.size <= MEMORIES_MAX) return;
    for (const oldest of this.#memories.keys()) {
      this.#memories.delete(oldest);
      break;
    }
  }

  mayTry(key: string, monotonicMs: number): boolean {
    return (this.#memories.get(key)?.againAtMs ?? 0) <= monotonicMs;
  }

  forget(key: string): void {
    this.#memories.delete(key);
  }

  clear(): void {
    this.#memories.clear();
  }
}
