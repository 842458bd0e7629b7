/**
 * Rows of the session table. Keys are big-endian, so that their order is that of the numbers; values little-endian.
 *
 * ```
 * session  1 | u64 id                 ->  f64 last log index | f64 last appended-at, ms | f64 acknowledged through
 * answer   2 | u64 id | u64 sequence  ->  u8 1 | bytes of the answer
 * use      3 | u64 last log index     ->  f64 id                    one per session: who was used longest ago?
 * count    4                          ->  f64 sessions
 * ```
 */

const KIND = { session: 1, answer: 2, use: 3, count: 4 } as const;

/** In front of every answer, so that no value is empty. */
const ANSWER_FORMAT = 1;

export interface SessionRecord {
  /** Log index of the newest entry of this session, and when that was appended. */
  readonly lastIndex: number;
  readonly lastAtMs: number;
  readonly ackedThrough: number;
}

function keyOf(kind: number, ...numbers: readonly number[]): Uint8Array {
  const key = new Uint8Array(1 + 8 * numbers.length);
  const view = new DataView(key.buffer);
  key[0] = kind;
  for (const [i, value] of numbers.entries()) {
    view.setUint32(1 + 8 * i, Math.floor(value / 0x1_0000_0000));
    view.setUint32(5 + 8 * i, value % 0x1_0000_0000);
  }
  return key;
}

export const COUNT_KEY = keyOf(KIND.count);
/** Around all rows of the kind "use". */
export const USES_START = keyOf(KIND.use);
export const USES_END = keyOf(KIND.count);

export function sessionKey(id: number): Uint8Array {
  return keyOf(KIND.session, id);
}

export function answerKey(id: number, sequence: number): Uint8Array {
  return keyOf(KIND.answer, id, sequence);
}

export function useKey(lastIndex: number): Uint8Array {
  return keyOf(KIND.use, lastIndex);
}

export function encodeNumber(value: number): Uint8Array {
  return new Uint8Array(new Float64Array([value]).buffer);
}

export function decodeNumber(bytes: Uint8Array, position = 0): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getFloat64(8 * position, true);
}

export function encodeRecord({ lastIndex, lastAtMs, ackedThrough }: SessionRecord): Uint8Array {
  return new Uint8Array(new Float64Array([lastIndex, lastAtMs, ackedThrough]).buffer);
}

export function decodeRecord(bytes: Uint8Array): SessionRecord {
  return {
    lastIndex: decodeNumber(bytes, 0),
    lastAtMs: decodeNumber(bytes, 1),
    ackedThrough: decodeNumber(bytes, 2),
  };
}

export function encodeAnswer(answer: Uint8Array): Uint8Array {
  const value = new Uint8Array(1 + answer.length);
  value[0] = ANSWER_FORMAT;
  value.set(answer, 1);
  return value;
}

/** A copy, also of a Buffer, whose `slice` would be none. */
export function decodeAnswer(value: Uint8Array): Uint8Array {
  return new Uint8Array(value.subarray(1));
}
