/** The order of names in placement objects: by their UTF-8 bytes. */

/** Surrogates: what UTF-16 sorts before U+E000 and UTF-8 behind it. */
const HAS_SURROGATES = /[\ud800-\udfff]/;

export function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  if (!HAS_SURROGATES.test(a) && !HAS_SURROGATES.test(b)) return a < b ? -1 : 1;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
