/** `after`, a larger array, with the beginning of it as it stood before. */
export function grown<T extends Uint32Array | Int32Array>(before: T, after: T): T {
  after.set(before);
  return after;
}
