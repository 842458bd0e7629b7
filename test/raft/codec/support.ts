/** What the tests of the codec share: comparing, and damage that a checksum does not catch. */

import assert from "node:assert/strict";
import { isHearthError } from "../../../src/base/index.ts";
import {
  CODEC_REASONS,
  decodeMessage,
  encodeMessage,
  joinPieces,
} from "../../../src/raft/codec/index.ts";
import { sealFrame } from "../../../src/raft/codec/frame.ts";
import { type Batch, MESSAGE, type Message } from "../../../src/raft/index.ts";

export function frameOf(message: Message): Uint8Array {
  return joinPieces(encodeMessage(message));
}

/** A message whose bodies are cut to their length, so that it can be compared with a decoded one. */
export function plain(message: Message): Message {
  if (message.kind === MESSAGE.append) {
    const batches = message.batches.map((batch: Batch) => ({
      ...batch,
      body: batch.body.slice(0, batch.bodyBytes),
    }));
    return { ...message, batches };
  }
  if (message.kind === MESSAGE.snapshotChunk) return { ...message, bytes: message.bytes.slice() };
  return message;
}

/** The same bytes with a length and a checksum that fit: only what lies behind those two checks is left to refuse. */
export function resealed(frame: Uint8Array): Uint8Array {
  const bytes = frame.slice();
  if (bytes.length < 64) return bytes;
  new DataView(bytes.buffer).setUint32(8, bytes.length, true);
  sealFrame([bytes]);
  return bytes;
}

/** The message, or the reason of its refusal. Anything else that is thrown fails the test. */
export function attempt(bytes: Uint8Array): Message | string {
  try {
    return decodeMessage(bytes);
  } catch (error) {
    assert.ok(isHearthError(error), `threw ${String(error)}`);
    assert.equal(error.code, "invalid_argument");
    assert.ok((CODEC_REASONS as readonly string[]).includes(error.reason), error.reason);
    return error.reason;
  }
}
