/** Small files that say something about a directory: replaced as a whole, durably. */

import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Puts `text` in the place of the file, which need not be there: a crash leaves the old content or the new one, and what
 * this has returned from survives a power cut, with its name. `<path>.new` may stay behind after a crash, and is
 * overwritten by the next call.
 *
 * Errors: those of the disk; the old content is then still there, unless only the sync of the directory failed.
 */
export function replaceFile(path: string, text: string): void {
  const aside = `${path}.new`;
  writeFileSync(aside, text, { flush: true });
  renameSync(aside, path);
  const directory = openSync(dirname(path), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
