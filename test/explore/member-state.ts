/** What a member is between two steps. */

import type { AppendWork, CoreState } from "../../src/raft/index.ts";
import type { Disk } from "./disk.ts";

export interface MemberState {
  readonly core: CoreState;
  readonly disk: Disk;
  /** Handed out and not yet reported as durable, oldest first. */
  readonly works: readonly AppendWork[];
  /** Reads that wait: what was committed anywhere when each was asked for. */
  readonly reads: readonly PendingRead[];
  readonly crashCount: number;
}

export interface PendingRead {
  readonly id: number;
  readonly floorIndex: number;
}
