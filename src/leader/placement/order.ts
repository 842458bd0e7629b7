/** The order of names in placement objects: by their UTF-8 bytes. */

/** From here on the units of UTF-16 are not in the order of the bytes: surrogates come before U+E000. */
const FIRST_SURROGATE = 0xd800;

export function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [left, right] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (left === right) continue;
    if (left < FIRST_SURROGATE && right < FIRST_SURROGATE) return left - right;
    return Buffer.compare(Buffer.from(a), Buffer.from(b));
  }
  return a.length - b.length;
}
