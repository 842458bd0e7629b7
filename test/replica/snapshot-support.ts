/** Snapshots without files. */

import type { SnapshotMeta } from "../../src/raft/index.ts";
import type { SnapshotHead, SnapshotSource, SnapshotStore } from "../../src/replica/index.ts";

export const MEMBERSHIP = {
  index: 1,
  membership: { members: [], voters: [], votersOutgoing: [], learners: [], learnersNext: [] },
};

export function metaAt(index: number, id = "s1"): SnapshotMeta {
  const sizes = { sizeBytes: 6, chunkBytes: 3, chunkCount: 2 };
  return { id, index, term: 1, membership: MEMBERSHIP, appendedAtMs: 0, ...sizes, digest: "" };
}

/** A store that works; a test puts other answers in. */
export class FakeStore implements SnapshotStore {
  latest: SnapshotMeta | null = null;
  take = async (head: SnapshotHead): Promise<SnapshotMeta> => {
    this.latest = metaAt(head.index, `s${head.index}`);
    return this.latest;
  };
  readChunk = async (): Promise<Uint8Array | null> => new Uint8Array(3);
  storeChunk = async (_meta: SnapshotMeta, chunk: number): Promise<number> => chunk + 1;
  completeReceived = async (): Promise<boolean> => true;
  retain = async (): Promise<void> => {};
  complete: readonly SnapshotMeta[] = [];
  setAside = async (): Promise<void> => {};
  close = async (): Promise<void> => {};
  open({ index, term }: SnapshotMeta): SnapshotSource {
    return { index, term, next: async () => null, close: () => {} };
  }
}
