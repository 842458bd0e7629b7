/**
 * The object store as the rest of Hearth sees it: a flat set of keys with bytes, shared with the other components of the
 * database. Two implementations: a directory and an S3 bucket.
 *
 * Keys are the same in both: words separated by `/`, without the configured prefix. What is expected (an object is not
 * there) is a value; everything else is a HearthError with one of the reasons of errors.ts.
 */

export interface ObjectInfo {
  readonly key: string;
  readonly sizeBytes: number;
  /** Unix ms, by the clock of the store. */
  readonly modifiedAtMs: number;
}

export interface ByteRange {
  readonly start: number;
  /** Exclusive. Beyond the end of the object: up to its end. */
  readonly end: number;
}

export interface ListOptions {
  /** Any beginning of a key, also in the middle of a word. "" is everything. */
  readonly prefix: string;
  /** Continuation: only keys behind this one, in the order of the list. */
  readonly after?: string;
  /** Objects of a page. Default: STORAGE_LIMITS.pageMaxCount, which is also the most. */
  readonly pageMaxCount?: number;
  /**
   * Where objects lie in directories: takes along those that have been empty for an hour, which a process left behind
   * when it was killed. For a list that is read again and again. Default: false.
   */
  readonly removesEmpty?: boolean;
  readonly signal?: AbortSignal;
}

export interface GetOptions {
  readonly range?: ByteRange;
  /** A larger answer is refused with `object_too_large` before it is read. Default: STORAGE_LIMITS.getMaxBytes. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface ObjectStore {
  /** For messages: `file:/data/shared`, `s3://bucket/prefix`. Without secrets. */
  readonly name: string;
  /**
   * Objects whose key begins with a prefix, in pages.
   *
   * Shape: keys ascend by bytes over all pages; no page is empty. Objects written or removed meanwhile may be missing.
   * Errors: also `storage_listing_stuck`, when a store repeats itself.
   * Cost: one page is held at a time, the next one is read when it is asked for.
   */
  list(options: ListOptions): AsyncIterable<readonly ObjectInfo[]>;
  /** The bytes, owned by the caller; null when there is no such object. */
  get(key: string, options?: GetOptions): Promise<Uint8Array | null>;
  /** Writes the whole object or nothing: readers see the one before or this one. Durable when it returns. */
  put(key: string, bytes: Uint8Array, options?: CallOptions): Promise<void>;
  /** An object that is not there is success. */
  delete(key: string, options?: CallOptions): Promise<void>;
  /** Null when there is no such object. */
  head(key: string, options?: CallOptions): Promise<ObjectInfo | null>;
  /** Ends connections. Nothing may be called after it. */
  close(): Promise<void>;
}
