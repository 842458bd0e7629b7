/**
 * What the crash point tool needs of a storage: a seeded run on a recording disk, and a check of what a crash left.
 * The log is one (log-subject.ts); others are added to the list in subjects.ts.
 */

import type { MemoryDisk } from "../log/support/memory-disk.ts";

export interface CrashSubject {
  readonly name: string;
  /**
   * Kinds of operations that a run has to contain: named in `disk.begin` and `disk.end` around each of them, or by
   * `kindOfWrite`. Each must be under way in at least one image.
   */
  readonly kinds: readonly string[];
  /** Kind of a write in flight that no begin tells of; null: none. */
  kindOfWrite(write: {
    readonly name: string;
    readonly position: number;
    readonly bytes: Uint8Array;
    /** What the file holds without it. */
    readonly inode: { readonly bytes: Uint8Array };
  }): string | null;
  /** Runs about `operations` operations. Every promise to somebody outside is recorded with `disk.promise(n)`. */
  record(disk: MemoryDisk, settings: { seed: number; operations: number }): Promise<CrashHistory>;
}

/** What the run promised, and what may be found. */
export interface CrashHistory {
  /**
   * Recovers from the disk, checks it against everything up to promise `promised`, writes on, recovers again.
   * Returns what is wrong, or null. Anything thrown counts as a violation, too.
   */
  check(disk: MemoryDisk, promised: number): Promise<string | null>;
}
