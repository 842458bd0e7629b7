/** The reusable output of `drain`. */

import type { Output } from "./types.ts";

export function createOutput(): Output {
  return {
    send: [],
    append: [],
    reads: [],
    chunks: [],
    storeChunks: [],
    load: [],
    hasChanged: false,
  };
}
