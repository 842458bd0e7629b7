/** The payload with which members compare their states. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  COMMAND,
  COMMAND_VERSION,
  decodeStateCheck,
  encodeStateCheck,
  type StateCheck,
  validateCommand,
} from "../../src/protocol/index.ts";

function decoded(text: string): StateCheck {
  const bytes = Buffer.from(`xx${text}`);
  return decodeStateCheck(bytes, 2, bytes.length - 2);
}

test("checks come back as they were", () => {
  const checks: StateCheck[] = [
    { kind: "prepare" },
    { kind: "mark" },
    { kind: "report", atIndex: 7, node: "0123abcd", tables: { blocks: "00ff00ff" } },
  ];
  for (const check of checks) {
    const bytes = encodeStateCheck(check);
    assert.deepEqual(decodeStateCheck(bytes, 0, bytes.length), check);
  }
});

test("anything else is refused", () => {
  const report = { kind: "report", atIndex: 7, node: "n", tables: { blocks: "00ff00ff" } };
  const bad = [
    "",
    "null",
    "[]",
    "{}",
    '{"kind":"other"}',
    JSON.stringify({ ...report, atIndex: 0 }),
    JSON.stringify({ ...report, atIndex: 1.5 }),
    JSON.stringify({ ...report, node: "" }),
    JSON.stringify({ ...report, node: "a b" }),
    JSON.stringify({ ...report, tables: null }),
    JSON.stringify({ ...report, tables: { blocks: "00FF" } }),
    JSON.stringify({ ...report, tables: { "a b": "00ff00ff" } }),
    JSON.stringify({ ...report, node: "n".repeat(20_000) }),
  ];
  for (const text of bad) {
    assert.throws(() => decoded(text), { code: "invalid_argument" }, text.slice(0, 80));
  }
});

test("no client may send one", () => {
  const payload = encodeStateCheck({ kind: "mark" });
  const failure = validateCommand(COMMAND.checkState, COMMAND_VERSION, payload);
  assert.equal(failure?.reason, "unknown_command");
});
