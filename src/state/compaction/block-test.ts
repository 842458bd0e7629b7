/** Which blocks an operation means. */

import { ULID_BYTES } from "../../base/index.ts";

/** Says of a block, by its id at `offset`, whether it is meant. */
export type BlockTest = (bytes: Uint8Array, offset: number) => boolean;

/** A test for ids of a list, ULID_BYTES each. */
export function isOneOf(ids: readonly Uint8Array[]): BlockTest {
  const known = new Set(ids.map((id) => keyText(id, 0)));
  return (bytes, offset) => known.has(keyText(bytes, offset));
}

function keyText(bytes: Uint8Array, offset: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + offset, ULID_BYTES).toString("latin1");
}
