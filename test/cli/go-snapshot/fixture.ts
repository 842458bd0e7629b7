/** The BoltDB files of this folder (README.md). */

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { inRoot } from "../../support/project.ts";

/** A copy of its own. */
export function boltBytes(name: "state" | "bad-records"): Buffer {
  return gunzipSync(readFileSync(inRoot("test", "cli", "go-snapshot", `${name}.db.gz`)));
}

export const PAGE_BYTES = 1_024;
