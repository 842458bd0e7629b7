/**
 * One bound in bytes for everything that a reader thread keeps of one kind: about dictionaries, or compiled selectors.
 *
 * A use is one store of the current query's number: a list kept in order would cost more than the look-ups it serves.
 * Eviction sorts all items by last use and drops the oldest third of the bytes, which amortises the sort.
 */

export interface CacheItem {
  /** What it occupies; constant while it is in the cache. */
  readonly sizeBytes: number;
  /** Number of the query that used it last. */
  lastUse: number;
  /** Removes it from where it is found. */
  drop(): void;
}

export class ByteBoundedCache {
  readonly #maxBytes: number;
  readonly #items = new Set<CacheItem>();
  #sizeBytes = 0;
  /** Number of the current query: what a user of an item stores into `lastUse`. */
  now = 1;
  evictions = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Whether something of this size fits without throwing anything out. */
  hasRoomFor(sizeBytes: number): boolean {
    return this.#sizeBytes + sizeBytes <= this.#maxBytes;
  }

  add(item: CacheItem): void {
    this.#items.add(item);
    this.#sizeBytes += item.sizeBytes;
    if (this.#sizeBytes > this.#maxBytes) this.#evict();
  }

  remove(item: CacheItem): void {
    if (this.#items.delete(item)) this.#sizeBytes -= item.sizeBytes;
  }

  #evict(): void {
    const oldestFirst = [...this.#items].sort((a, b) => a.lastUse - b.lastUse);
    const targetBytes = Math.floor((this.#maxBytes * 2) / 3);
    for (const item of oldestFirst) {
      if (this.#sizeBytes <= targetBytes) return;
      this.remove(item);
      item.drop();
      this.evictions++;
    }
  }
}
