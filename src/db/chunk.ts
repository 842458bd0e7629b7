/**
 * Chunks of a dictionary: how strings and keys lie in the values of `strings` and `keys`. The one place that knows, for the
 * writer, for readers, and for whoever checks or scans.
 *
 * ```
 * u32 count | u32 end[count] | content             item i of chunk n has the id (n << shift) + i
 *                                                  and is the content from end[i - 1], or 0, to end[i]
 * ```
 *
 * Ends are relative to the content, in bytes in `strings`, in words in `keys`. `words` is a view that begins with the chunk;
 * i is below its count.
 */

type Words = Uint32Array | Int32Array;

/** Items in the chunk. */
export function chunkCount(words: Words): number {
  return words[0] as number;
}

/** Words in front of the content, of a chunk of so many items. */
export function chunkHeadWords(count: number): number {
  return 1 + count;
}

/** Where item i begins in the content, in the units of its table. */
export function chunkItemStart(words: Words, i: number): number {
  return i === 0 ? 0 : (words[i] as number);
}

/** Exclusive. */
export function chunkItemEnd(words: Words, i: number): number {
  return words[1 + i] as number;
}

/** Writes the head of a chunk whose items end there; the content belongs behind it. */
export function writeChunkHead(words: Words, ends: readonly number[]): void {
  words[0] = ends.length;
  for (let i = 0; i < ends.length; i++) words[1 + i] = ends[i] as number;
}
