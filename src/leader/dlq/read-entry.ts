/** An entry of the dead letter queue as a log entry, or why it never can be one. */
import { type HearthError, isHearthError } from "../../base/index.ts";
import {
  beginEntry,
  BlockReader,
  BlockTranscoder,
  ByteSink,
  COMMAND,
  endEntry,
  ENTRY_HEADER_BYTES,
  validateBlock,
} from "../../protocol/index.ts";
import type { EntryKey } from "./entry-key.ts";

export type ReadEntry =
  /** One AddBlocks entry, owned, 8-aligned. */
  | { readonly kind: "block"; readonly body: Uint8Array<ArrayBuffer> }
  /** Not a BlockMeta. */
  | { readonly kind: "undecodable"; readonly reason: string }
  /** A BlockMeta that the index would refuse, or of another block than its key says. */
  | { readonly kind: "invalid"; readonly reason: string };

/** Of the batch around a single block: its count, and the length of the block; 8 bytes each. */
const BATCH_WORDS_BYTES = 8;
const BLOCK_OFFSET = ENTRY_HEADER_BYTES + 2 * BATCH_WORDS_BYTES;

export class EntryReader {
  readonly #transcoder = new BlockTranscoder();
  readonly #block = new BlockReader();
  /** One for all entries: a new one for each would cost more than the entry. */
  readonly #sink = new ByteSink();

  /** Errors: none for any content of the bytes. */
  read(bytes: Uint8Array, key: EntryKey): ReadEntry {
    const sink = this.#sink;
    sink.reset();
    const start = beginEntry(sink, COMMAND.addBlocks);
    sink.appendWords(1, 0);
    sink.appendWords(0, 0);
    let length: number;
    try {
      length = this.#transcoder.append(sink, bytes);
    } catch (error) {
      if (!isHearthError(error)) throw error;
      const kind = error.reason === "bad_protobuf" ? "undecodable" : "invalid";
      return { kind, reason: error.message };
    }
    sink.i32[(BLOCK_OFFSET - BATCH_WORDS_BYTES) >>> 2] = length;
    sink.align8();
    endEntry(sink, start);
    const body = new Uint8Array(sink.view());
    const refusal = validateBlock(body, BLOCK_OFFSET, length);
    if (refusal !== null) return { kind: "invalid", reason: refusal.message };
    const mismatch = this.#mismatch(body, length, key);
    return mismatch === null ? { kind: "block", body } : { kind: "invalid", reason: mismatch };
  }

  /** The key is what a tenant's deletion and the listing go by, so it must say what is inside. */
  #mismatch(body: Uint8Array, length: number, key: EntryKey): string | null {
    const block = this.#block.reset(body, BLOCK_OFFSET, length);
    const owner = block.string(block.tenant);
    const found = { id: block.id, shard: String(block.shard), tenant: owner || "anonymous" };
    for (const name of ["id", "shard", "tenant"] as const) {
      if (found[name] === key[name]) continue;
      return `The key says ${name} ${key[name]}, the metadata ${found[name]}`;
    }
    return null;
  }
}

/**
 * Statuses of `dlq_recovery_attempts_total`: those of the reference, `unsettled` for what is too young to be judged, and
 * `tenant_deleted` for what belongs to a tenant that is being deleted.
 */
export const DLQ_STATUSES = [
  "stray",
  "canceled",
  "not_found",
  "empty",
  "read_error",
  "unmarshal_error",
  "success",
  "invalid_metadata",
  "leadership_change",
  "metastore_error",
  "unsettled",
  "tenant_deleted",
] as const;
export type DlqStatus = (typeof DLQ_STATUSES)[number];

/** Rejections of apply that no repetition cures. */
const FINAL_REJECTIONS: ReadonlySet<string> = new Set([
  "bad_payload",
  "bad_block",
  "too_many_blocks",
  "tenant_too_long",
]);

/** What a refused proposal means for the entry (spec B2, 8 to 11). */
export function statusOfRefusal(error: HearthError): DlqStatus {
  switch (error.code) {
    case "cancelled":
    case "deadline_exceeded":
      return "canceled";
    case "invalid_argument":
      return "invalid_metadata";
    case "unavailable":
      return "leadership_change";
    default:
      if (error.reason === "tenant_deleted") return "tenant_deleted";
      return FINAL_REJECTIONS.has(error.reason) ? "invalid_metadata" : "metastore_error";
  }
}
