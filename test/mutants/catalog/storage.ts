/** Bugs of the durable log: what is promised before it is on the disk, and what a start makes of what it finds. */

import type { Killer, Mutant } from "../types.ts";
import { sim } from "./killers.ts";

function crashPointTest(expect: RegExp): Killer {
  return {
    kind: "test",
    file: "test/log/crash-points.test.ts",
    why: "it enumerates every crash point of the log's files, which a cluster only meets by chance",
    expect,
  };
}

function damageTest(expect: RegExp): Killer {
  return {
    kind: "test",
    file: "test/log/damage.test.ts",
    why: "it puts every kind of damage at every place of real log files",
    expect,
  };
}

function logTest(expect: RegExp): Killer {
  return {
    kind: "test",
    file: "test/log/log.test.ts",
    why: "the simulator replaces failing disks by stopping ones: an error code is a matter of the log alone",
    expect,
  };
}

export const STORAGE_MUTANTS: readonly Mutant[] = [
  {
    id: "log-cuts-at-damage",
    reference: "NATS 2.12.1 (49.7 % lost after one flipped bit); FAST'18 PAR",
    does: "takes a wrong checksum in the middle of the log for an unfinished write and cuts there",
    edits: [
      {
        file: "src/log/segment-scan.ts",
        find: "  if (later >= 0) {",
        replace: "  if (later >= 0 && image.length === 0) {",
      },
    ],
    killers: [damageTest(/flipped bit before the last group|zeroed sector before/)],
  },
  {
    id: "log-cuts-complete-frame",
    reference: "FAST'18 PAR: a checksum alone cannot tell bit rot from a torn tail",
    does: "cuts a last frame whose write was complete and whose bytes changed afterwards",
    edits: [
      {
        file: "src/log/segment-scan.ts",
        find: "  if (!hasLostSector(image, segment, end)) {",
        replace: "  if (!hasLostSector(image, segment, end) && image.length === 0) {",
      },
    ],
    killers: [damageTest(/complete write does not pass for a torn one/)],
  },
  {
    id: "log-retries-failed-sync",
    reference: "ATC'20 (PostgreSQL fsyncgate): retry after a failed fsync",
    does: "takes the second attempt of a failed write for success",
    edits: [
      {
        file: "src/log/log.ts",
        find: "      else this.#fail(writeFailed(segmentPath(this.options.directory, active.sequence), error));",
        replace: "      else this.#onWritten(inPlace);",
      },
    ],
    killers: [logTest(/failed write is final/)],
  },
  {
    id: "log-counts-what-is-at-hand",
    reference: "etcd#14370: entries that were handed to the disk are not on it",
    does: "takes the entries of a write that has not begun for durable, because the one before it has ended",
    edits: [
      {
        file: "src/log/log.ts",
        find: "Math.min(lastIndex, this.#starts.floorIndex);",
        replace: "Math.min(lastIndex > 0 ? this.#sent.index : 0, this.#starts.floorIndex);",
      },
    ],
    killers: [logTest(/at hand when the write before it ends/)],
  },
  {
    id: "disk-goes-on-behind-failed-write",
    reference: "ATC'20 (PostgreSQL fsyncgate): what follows a failed write succeeds",
    does: "makes the write that waits behind one that has failed",
    edits: [
      {
        file: "src/files/writer-thread.ts",
        find: "    hasFailed = true;",
        replace: "    hasFailed = number < 0;",
      },
    ],
    killers: [
      {
        kind: "test",
        file: "test/files/writer-files.test.ts",
        why: "the simulator has a disk of its own; this is the thread of the real one",
        expect: /fail with the one before them/,
      },
    ],
  },
  {
    id: "log-acknowledges-before-sync",
    reference: "etcd#14370: one node acknowledges before its write is durable",
    does: "reports a group as durable when its write begins",
    edits: [
      {
        file: "src/log/log.ts",
        find: "    const start = groupStart === 0 ? 0 : SEGMENT_HEADER_BYTES;",
        replace:
          "    const start = groupStart === 0 ? 0 : SEGMENT_HEADER_BYTES;\n" +
          "    const early = group.lastSequence;\n" +
          "    setImmediate(() => this.#owner.onDurable(early));",
      },
    ],
    killers: [crashPointTest(/keeps what was promised/)],
  },
  {
    id: "commits-ahead-of-the-log",
    reference: "etcd#14370: one node shows its readers what a crash takes out of its log",
    does: "commits to the database what is staged while the disk of the log still has it",
    edits: [
      {
        file: "src/replica/applier.ts",
        find: "    if (this.isAhead) {\n      this.#isCommitDue = true;\n",
        replace: "    if (this.#hasStopped) {\n      this.#isCommitDue = true;\n",
      },
    ],
    killers: [sim()],
  },
  {
    id: "takes-back-what-is-applied",
    reference:
      "etcd 3.5 (postmortem of its data inconsistency): the applied index moves on without what was applied",
    does: "takes back what is staged, for a disk that stands still, and stages nothing of it again",
    edits: [
      {
        file: "src/replica/applier.ts",
        find: "      if (uncommitted.length > 0) this.#modules.stateMachine.stage?.(uncommitted);\n",
        replace: "",
      },
    ],
    killers: [sim(/^applied-monotone:/)],
  },
  {
    id: "stages-ahead-among-voters",
    reference: "Raft paper, figure 8: what a leader has appended may be replaced",
    does: "a leader stages its entries before others have them, and takes them for certain",
    edits: [
      {
        file: "src/raft/core.ts",
        find: "    return this.isLeader && isSoleVoter && !isJoint(membership);",
        replace: "    return this.isLeader && (isSoleVoter || !isJoint(membership));",
      },
    ],
    killers: [sim(/^assertion: AssertionError: Entries from \d+ on are given up/)],
  },
  {
    id: "log-acknowledges-what-is-collected",
    reference: "etcd-io/raft 2af491fb: storage acknowledgements out of order",
    does: "reports as durable what is only collected for the next write",
    edits: [
      {
        file: "src/log/log.ts",
        find: "    this.#durableSequence = group.lastSequence;",
        replace: "    this.#durableSequence = this.#sequence;",
      },
    ],
    killers: [
      crashPointTest(/keeps what was promised/),
      logTest(/durable sequence numbers cover exactly/),
    ],
  },
  {
    id: "log-leaves-last-group-in-page-cache",
    reference: "ATC'20: the page cache is not the disk; etcd#6378",
    does: "trusts what a start reads at the end of the log without writing it again",
    edits: [
      {
        file: "src/log/newest-segment.ts",
        find: "image.subarray(groupStart, tornEnd), groupStart);",
        replace: "image.subarray(offset, tornEnd), offset);",
      },
    ],
    killers: [crashPointTest(/page cache alone/)],
  },
  {
    id: "log-keeps-torn-end",
    reference: "hashicorp/raft-wal, ALICE (OSDI'14): a torn tail that later reads as frames",
    does: "leaves the bytes of an unfinished write behind the end of the log",
    edits: [
      {
        file: "src/log/newest-segment.ts",
        find: "      image.fill(0, offset, tornEnd);\n",
        replace: "",
      },
    ],
    killers: [damageTest(/inside the last group an unfinished write/)],
  },
  {
    id: "log-reuses-files-with-what-they-held",
    reference: "RocksDB recycle_log_file_num: records of a former life of a log file",
    does: "cannot tell what a file held as another segment from what was written to it since",
    edits: [
      {
        file: "src/log/sectors.ts",
        find: "  return crc32c(bytes) || 1;",
        replace: "  return crc32c(bytes) === 0 ? 2 : 1;",
      },
    ],
    killers: [crashPointTest(/keeps what was promised|inside the repair|page cache alone/)],
  },
];
