/** Something that is cut into chunks of equal length, of which the last may be shorter. */
export interface Chunked {
  readonly sizeBytes: number;
  readonly chunkBytes: number;
}

/** Bytes of one chunk. Shape: `chunk` is below the number of chunks. */
export function chunkLength({ sizeBytes, chunkBytes }: Chunked, chunk: number): number {
  return Math.min(chunkBytes, sizeBytes - chunk * chunkBytes);
}
