/** Small helpers around snapshot files under test. */

import assert from "node:assert/strict";
import type { LogFields, Logger } from "../../../src/base/index.ts";
import type { FileTree } from "../../../src/files/index.ts";
import type { MembershipAt, SnapshotMeta } from "../../../src/raft/index.ts";
import {
  SnapshotFiles,
  type SnapshotHead,
  type SnapshotOptions,
  type SnapshotSource,
} from "../../../src/snapshot/index.ts";

export const SMALL: SnapshotOptions = {
  directory: "/data",
  chunkBytes: 700,
  damagedMax: 1,
  waitingChunksMax: 8,
};
export const ROOT = "/data/snapshots";

export const MEMBERSHIP: MembershipAt = {
  index: 1,
  membership: {
    members: [{ id: "00000000000000aa", serverId: "one", address: "127.0.0.1:1" }],
    voters: ["00000000000000aa"],
    votersOutgoing: [],
    learners: [],
    learnersNext: [],
  },
};

/** Bytes that differ from those of every other seed. */
export function content(seed: number, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  let state = seed + 1;
  for (let i = 0; i < sizeBytes; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export function headAt(index: number, term = 1): SnapshotHead {
  return { index, term, membership: MEMBERSHIP, appendedAtMs: 1000 + index };
}

/** The bytes in pieces of one size. */
export function sourceOf(
  head: SnapshotHead,
  bytes: Uint8Array,
  pieceBytes = 300,
): SnapshotSource & { closed: number } {
  let at = 0;
  return {
    index: head.index,
    term: head.term,
    closed: 0,
    async next() {
      if (at >= bytes.length) return null;
      const piece = bytes.slice(at, at + pieceBytes);
      at += piece.length;
      return piece;
    },
    close() {
      this.closed++;
    },
  };
}

export interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields | undefined;
}

export function recordingLogger(): Logger & { readonly lines: Line[] } {
  const lines: Line[] = [];
  const at =
    (level: string) =>
    (message: string, fields?: LogFields): void => {
      lines.push({ level, message, fields });
    };
  const logger = {
    lines,
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => logger,
  };
  return logger;
}

export interface Opened {
  readonly store: SnapshotFiles;
  readonly lines: readonly Line[];
}

/** `ids` grow over the whole test run: no two snapshots share one. */
let lastId = 0;

export async function openStore(
  files: FileTree,
  options = SMALL,
  newId = (): string => `id${++lastId}`,
): Promise<Opened> {
  const logger = recordingLogger();
  const store = await SnapshotFiles.open(options, { files, logger, newId });
  return { store, lines: logger.lines };
}

export async function readAll(source: SnapshotSource): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  try {
    for (let piece = await source.next(); piece !== null; piece = await source.next()) {
      pieces.push(piece.slice());
    }
  } finally {
    source.close();
  }
  return Buffer.concat(pieces);
}

export function chunkOf(meta: SnapshotMeta, bytes: Uint8Array, chunk: number): Uint8Array {
  return bytes.slice(chunk * meta.chunkBytes, (chunk + 1) * meta.chunkBytes);
}

/** Sends what is missing and completes. */
export async function receiveRest(
  store: SnapshotFiles,
  meta: SnapshotMeta,
  bytes: Uint8Array,
): Promise<boolean> {
  let next = await store.storeChunk(meta, 0, chunkOf(meta, bytes, 0));
  for (let sent = 0; next < meta.chunkCount; sent++) {
    assert.ok(sent <= meta.chunkCount, "a chunk was not kept");
    next = await store.storeChunk(meta, next, chunkOf(meta, bytes, next));
  }
  return store.completeReceived(meta);
}

/** A snapshot as a peer has it. */
export async function peerSnapshot(
  files: FileTree,
  index: number,
  bytes: Uint8Array,
): Promise<SnapshotMeta> {
  const { store } = await openStore(files);
  return store.take(headAt(index), sourceOf(headAt(index), bytes));
}

export function reasonOf(error: unknown): string {
  return String((error as { reason?: string }).reason);
}
