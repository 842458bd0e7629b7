import assert from "node:assert/strict";
import { test } from "node:test";
import { DATASET, ENTRY_PRELUDE, ENTRY_ROW, LIMITS } from "../../src/protocol/index.ts";

/** What a reader thread's scratch buffer holds (src/db/open.ts). */
const VALUE_MAX_BYTES = 8 * 1024 * 1024;

test("a stored entry of the largest block fits a reader's scratch buffer", () => {
  const rows = LIMITS.datasetsMax * ENTRY_ROW.bytes;
  const bytes = ENTRY_PRELUDE.rowsOffset + rows + 8 + 8 * LIMITS.sectionsPerBlockMax;
  assert.ok(bytes <= VALUE_MAX_BYTES, `${bytes} bytes`);
});

test("dictionary chunks of the longest strings and labels fit a reader's scratch buffer", () => {
  assert.ok(256 * LIMITS.stringMaxBytes <= VALUE_MAX_BYTES / 2);
  assert.ok(64 * 4 * LIMITS.labelIntsPerDatasetMax <= VALUE_MAX_BYTES / 2);
});

test("the largest block fits a frame, and so do its datasets", () => {
  assert.ok(LIMITS.blockMaxBytes < LIMITS.frameMaxBytes);
  assert.ok(LIMITS.datasetsMax * DATASET.bytes < LIMITS.blockMaxBytes);
});

test("a tenant is a string of a block and a key of the index database", () => {
  assert.ok(LIMITS.tenantMaxBytes <= LIMITS.stringMaxBytes);
  // LMDB as we build it takes keys of 1978 bytes.
  assert.ok(LIMITS.tenantMaxBytes + 4 < 1978);
});
