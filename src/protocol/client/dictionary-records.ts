/**
 * Dictionary records: the strings and dataset keys that entry chunks refer to by number. A server sends each once per
 * connection, ahead of the first answer that needs it; the peer keeps them until it is told to forget.
 *
 * Payload of a `dictionary` frame: records back to back, each at a multiple of 8.
 *
 * ```
 *  0 u32 kind | 4 u32 dictionary | 8 u32 id | 12 u32 length | 16 content | zeros to a multiple of 8
 * ```
 *
 * | kind | id | length and content |
 * |---|---|---|
 * | 0 forget | 0 | 0: nothing that was sent before is referred to any more |
 * | 1 string | string id | bytes of UTF-8 |
 * | 2 key | dataset key id | ints: tenant, name, label sets (a count and as many pairs); all but the counts string ids |
 *
 * Ids are those of src/db/DESIGN.md: never used twice within one database, so what a peer holds cannot become wrong,
 * and another database is another connection. String 0 is empty and never sent; a key comes after its strings.
 */

export const RECORD = { forget: 0, string: 1, key: 2 } as const;

export const RECORD_HEADER_BYTES = 16;

/** What a record costs a peer that keeps it, for the bound that both sides count by: the content and an object. */
export function recordCostBytes(contentBytes: number): number {
  return 64 + contentBytes;
}

/** Where the string ids of a key are: calls `visit` for each but the empty one. Stops where a label set is cut off. */
export function visitKeyStrings(
  ints: Int32Array,
  range: { readonly start: number; readonly end: number },
  visit: (id: number) => void,
): void {
  const { start, end } = range;
  const see = (position: number): void => {
    const id = (ints[position] as number) >>> 0;
    if (id !== 0) visit(id);
  };
  see(start);
  see(start + 1);
  let position = start + 2;
  while (position < end) {
    const pairs = ints[position] as number;
    const next = pairs < 0 ? end : Math.min(end, position + 1 + 2 * pairs);
    for (let i = position + 1; i < next; i++) see(i);
    position = next;
  }
}
