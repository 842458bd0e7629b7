/** Bounds of the object store. */
export const STORAGE_LIMITS = {
  /** Bytes of a key in UTF-8: what S3 allows. */
  keyMaxBytes: 1_024,
  /** What S3 gives at most. */
  pageMaxCount: 1_000,
  /** Metadata and footers are far below; whoever needs more reads ranges. */
  getMaxBytes: 64 * 1024 * 1024,
  /** One request of S3 carries 5 GiB; nothing here is near. */
  putMaxBytes: 64 * 1024 * 1024,
  /** Entries of one directory: a name is about 100 bytes of memory while it is sorted. */
  directoryMaxCount: 5_000_000,
  /** Left-overs of writes that a crash cut short are removed after this. */
  temporaryMaxAgeMs: 60 * 60_000,
  /** An empty directory that nobody has touched for so long is a left-over: whoever makes one writes into it at once. */
  emptyMinAgeMs: 60 * 60_000,
} as const;
