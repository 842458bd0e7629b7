/** What a start begins with when state, log and snapshots do not end at the same index. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { SYSTEM_SCHEDULER } from "../../src/base/index.ts";
import type { SnapshotMeta } from "../../src/raft/index.ts";
import { InstallProgress } from "../../src/replica/install.ts";
import type { SnapshotStore } from "../../src/replica/index.ts";
import { findStart } from "../../src/replica/start.ts";
import { createReplicaStats } from "../../src/replica/types.ts";
import { LogUnderTest } from "../log/support/log-harness.ts";
import { MemoryDisk } from "../log/support/memory-disk.ts";
import { FakeState, SELF } from "./support.ts";

function snapshotAt(index: number): SnapshotMeta {
  const membership = {
    index: index - 1,
    membership: {
      members: [SELF],
      voters: [SELF.id],
      votersOutgoing: [],
      learners: [],
      learnersNext: [],
    },
  };
  const sizes = { sizeBytes: 6, chunkBytes: 3, chunkCount: 2 };
  return { id: `s${index}`, index, term: 1, membership, appendedAtMs: 0, ...sizes, digest: "" };
}

/** A state that ends at 4, and a log of the entries 5 to 9, without a configuration. */
async function startWith(snapshots: readonly SnapshotMeta[]): ReturnType<typeof findStart> {
  const under = await LogUnderTest.open(new MemoryDisk());
  const { log } = under;
  await under.resetTo(4, 1);
  await under.append(5);
  const state = new FakeState();
  state.appliedIndex = 4;
  state.appliedTerm = 1;
  const store = { complete: snapshots, latest: snapshots.at(-1) ?? null };
  try {
    return await findStart(
      {
        log,
        stateMachine: state,
        snapshots: store as unknown as SnapshotStore,
        progress: new InstallProgress(SYSTEM_SCHEDULER),
        stats: createReplicaStats(),
      },
      [],
    );
  } finally {
    await log.close();
  }
}

test("a snapshot that was received and not installed hides none that the state has", async () => {
  const { start, position } = await startWith([snapshotAt(2), snapshotAt(4), snapshotAt(20)]);
  assert.equal(start.snapshot?.index, 4);
  assert.deepEqual(start.memberships, [snapshotAt(4).membership]);
  assert.deepEqual(position.membership, snapshotAt(4).membership);
});

test("nobody knows the members when every snapshot is ahead of the state", async () => {
  await assert.rejects(startWith([snapshotAt(20)]), { reason: "log_without_members" });
});
