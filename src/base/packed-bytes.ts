/**
 * Several byte strings as one, for the way to another thread: there every array costs some microseconds of its own,
 * and a view takes its whole buffer along.
 */

export interface PackedBytes {
  /** Alone in its buffer; each part begins at a multiple of 8. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where each part ends. */
  readonly ends: readonly number[];
}

/** Copies the parts behind one another. */
export function packBytes(parts: readonly Uint8Array[]): PackedBytes {
  const ends: number[] = [];
  let end = 0;
  for (const part of parts) {
    end = startAfter(end) + part.length;
    ends.push(end);
  }
  const bytes = new Uint8Array(end);
  for (const [i, part] of parts.entries()) bytes.set(part, (ends[i] as number) - part.length);
  return { bytes, ends };
}

/** The parts, as views of the packed bytes. */
export function unpackBytes({ bytes, ends }: PackedBytes): Uint8Array[] {
  let end = 0;
  return ends.map((next) => {
    const start = startAfter(end);
    end = next;
    return bytes.subarray(start, next);
  });
}

function startAfter(end: number): number {
  return Math.ceil(end / 8) * 8;
}
