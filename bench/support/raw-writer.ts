/** The limit of everything durable: raw O_DSYNC writes of the bytes of one entry, one at a time. */

import { closeSync, constants, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { ENTRY_BYTES } from "./node-in-process.ts";

const FILE_BYTES = 64 * 1024 * 1024;

/** One O_DSYNC write of the bytes of an entry, over a file that exists already. */
export function rawWriter(directory: string): { write: () => number; close: () => void } {
  const path = join(directory, "raw");
  const fill = openSync(path, "w");
  for (let offset = 0; offset < FILE_BYTES; offset += 1024 * 1024) {
    writeSync(fill, new Uint8Array(1024 * 1024), 0, 1024 * 1024, offset);
  }
  closeSync(fill);
  const file = openSync(path, constants.O_WRONLY | constants.O_DSYNC);
  const bytes = new Uint8Array(ENTRY_BYTES).fill(1);
  let offset = 0;
  return {
    write: () => {
      offset = (offset + ENTRY_BYTES) % (FILE_BYTES - ENTRY_BYTES);
      return writeSync(file, bytes, 0, ENTRY_BYTES, offset);
    },
    close: () => closeSync(file),
  };
}
