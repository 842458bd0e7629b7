/** Where the repository is, for tests that read its files. Compiled tests run from dist/, so they look upwards. */

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package-lock.json")) && dirname(folder) !== folder) {
    folder = dirname(folder);
  }
  return folder;
}

/** Absolute path of the repository root. */
export const ROOT = findRoot();

/** Absolute path of a file in the repository. */
export function inRoot(...parts: string[]): string {
  return join(ROOT, ...parts);
}
