/** Writing a snapshot of the own state: steps T1 to T7 of DESIGN.md. */

import { assert } from "../base/index.ts";
import { writeAll } from "../files/index.ts";
import type { SnapshotMeta } from "../raft/index.ts";
import { FILES, type Snapshot, type SnapshotDirectory, SUFFIX } from "./directory.ts";
import { damaged, empty, tooLarge } from "./errors.ts";
import { digestOf, encodeHashRecords, hashChunk } from "./hashes.ts";
import { encodeHead, nameOf, problemOf } from "./meta.ts";
import { SNAPSHOT_LIMITS, type SnapshotOptions } from "./options.ts";
import type { SnapshotHead, SnapshotSource } from "./types.ts";

/**
 * Writes, syncs, reads back, verifies, names. The memory it takes is one chunk and 32 B per chunk.
 *
 * Errors: those of the disk; `snapshot_damaged` when what is read back differs; `snapshot_closed` within a chunk of the
 *   directory's being closed; what the source rejects with. The unfinished files are gone then, unless the disk failed for good.
 */
export async function takeSnapshot(
  directory: SnapshotDirectory,
  options: SnapshotOptions,
  head: SnapshotHead & { readonly id: string },
  source: SnapshotSource,
): Promise<Snapshot> {
  const name = nameOf(head);
  const partial = name + SUFFIX.taking;
  try {
    await directory.begin(partial);
    const { hashes, sizeBytes } = await writeData(directory, partial, options.chunkBytes, source);
    if (sizeBytes === 0) throw empty(head.index);
    const meta = metaOf(head, options.chunkBytes, hashes, sizeBytes);
    const records = encodeHashRecords(hashes, 0);
    await directory.writeFile(partial, FILES.hashes, records, 0, "durable");
    await directory.writeFile(partial, FILES.head, encodeHead(meta), 0, "create");
    await directory.sync(partial);
    const found = await directory.readBack(partial, name);
    if (!found.ok) throw damaged(directory.path(partial), found.what);
    await directory.rename(partial, name);
    return found.snapshot;
  } catch (error) {
    // On a disk that failed this fails, too, and the next start does it.
    await directory.discardIfThere(partial).catch(() => {});
    throw error;
  }
}

async function writeData(
  directory: SnapshotDirectory,
  name: string,
  chunkBytes: number,
  source: SnapshotSource,
): Promise<{ hashes: Uint8Array[]; sizeBytes: number }> {
  const path = directory.path(name, FILES.data);
  const hashes: Uint8Array[] = [];
  let sizeBytes = 0;
  const { files } = directory;
  const file = await directory.change(path, () => files.open(path, "durable"));
  try {
    for await (const chunk of chunksOf(source, chunkBytes)) {
      directory.assertOpen();
      if (hashes.length === SNAPSHOT_LIMITS.chunkCountMax) throw tooLarge(path, sizeBytes);
      hashes.push(hashChunk(chunk));
      await directory.change(path, () => writeAll(file, chunk, sizeBytes));
      sizeBytes += chunk.length;
    }
  } finally {
    // What was written is durable already; closing has nothing to add.
    await file.close().catch(() => {});
  }
  return { hashes, sizeBytes };
}

/** Pieces of any size as chunks of one size. A chunk is borrowed until the next is asked for. */
async function* chunksOf(source: SnapshotSource, chunkBytes: number): AsyncGenerator<Uint8Array> {
  const chunk = new Uint8Array(chunkBytes);
  let filledBytes = 0;
  for (let piece = await source.next(); piece !== null; piece = await source.next()) {
    assert(piece.length > 0, "A snapshot source handed out an empty piece");
    for (let at = 0; at < piece.length; ) {
      const takenBytes = Math.min(piece.length - at, chunkBytes - filledBytes);
      chunk.set(piece.subarray(at, at + takenBytes), filledBytes);
      at += takenBytes;
      filledBytes += takenBytes;
      if (filledBytes < chunkBytes) continue;
      yield chunk;
      filledBytes = 0;
    }
  }
  if (filledBytes > 0) yield chunk.subarray(0, filledBytes);
}

function metaOf(
  head: SnapshotHead & { readonly id: string },
  chunkBytes: number,
  hashes: readonly Uint8Array[],
  sizeBytes: number,
): SnapshotMeta {
  const { id, index, term, membership, appendedAtMs } = head;
  const chunkCount = hashes.length;
  const digest = digestOf(hashes);
  const meta: SnapshotMeta = {
    id,
    index,
    term,
    membership,
    appendedAtMs,
    sizeBytes,
    chunkBytes,
    chunkCount,
    digest,
  };
  const problem = problemOf(meta);
  assert(problem === null, `Cannot take a snapshot at log index ${index}: ${problem}`);
  return meta;
}
