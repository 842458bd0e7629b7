/** Settings of a query engine; one engine per reader thread. */
export interface QueryEngineOptions {
  /**
   * Bytes kept per thread: three quarters of dictionaries and resolved selectors, where a dataset key costs about 50 B and
   * a string its length (a week of 10,000 services is about 5 MiB), one quarter of blocks as protobuf answers had them.
   */
  readonly cacheBytes: number;
  /** Largest answer, bytes over all its chunks. Over it: resource_exhausted, with what was found so far. */
  readonly answerMaxBytes: number;
  /** A chunk is closed when it reaches this size, bytes; one block can make it larger by itself. */
  readonly chunkBytes: number;
}

export const QUERY_ENGINE_DEFAULTS: QueryEngineOptions = {
  cacheBytes: 64 * 1024 * 1024,
  // About 100,000 blocks with ten datasets each: more than any query front end plans at once.
  answerMaxBytes: 256 * 1024 * 1024,
  // Large enough that a chunk's own string table does not repeat much, small enough to stream.
  chunkBytes: 256 * 1024,
};
