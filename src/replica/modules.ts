/** What a member, and its loop, is put together from. */

import type { Clock, HearthError, Logger, Scheduler } from "../base/index.ts";
import type { DurableLog } from "../log/index.ts";
import type { RandomU32 } from "../raft/index.ts";
import type { InstallProgress } from "./install.ts";
import type { ProposeRefused } from "./intake.ts";
import type { PeerTransport, SnapshotStore } from "./ports.ts";
import type { ProposeDone, PublishedState, ReplicaStats, StateMachine } from "./types.ts";

/** What a member is made of; the simulator swaps the clock, the scheduler, the network and what the others stand on. */
export interface MemberModules {
  /** Opened; the replica closes it in `stop`. */
  readonly log: DurableLog;
  readonly stateMachine: StateMachine;
  readonly transport: PeerTransport;
  /** Closed by the replica, too. Null: this member takes and receives no snapshots, and its log is never cut. */
  readonly snapshots: SnapshotStore | null;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** For the election timeouts. */
  readonly random: RandomU32;
  readonly logger: Logger;
  /** Called after every change of what reader threads may see, on the main thread. */
  readonly publish: (state: PublishedState) => void;
  /** Role, term, leader or members changed; before anything of the change leaves this member. */
  readonly onChanged?: () => void;
}

export interface LoopModules extends MemberModules {
  readonly stats: ReplicaStats;
  readonly progress: InstallProgress;
  /** Called after every piece that was applied. */
  readonly onProgress: () => void;
  /** A proposal that the core has not taken: nothing of it is logged. */
  readonly onRefused: (outcome: ProposeRefused, done: ProposeDone) => void;
  /** Final. */
  readonly onFailed: (error: HearthError) => void;
}
