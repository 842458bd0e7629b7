/** Listens to what a driver tells its durable log, and keeps the shadow of it. */

import type { DurableLog } from "../../src/log/index.ts";
import {
  BATCH_KIND,
  decodeMembershipBatch,
  type HardState,
  type Membership,
  type NodeId,
  type RaftCore,
} from "../../src/raft/index.ts";
import { checkChange } from "./beliefs.ts";
import type { Coverage } from "./coverage.ts";
import type { Life } from "./event-loop.ts";
import type { Invariants } from "./invariants.ts";
import { ShadowLog } from "./shadow-log.ts";

interface Observer {
  readonly nodeId: NodeId;
  readonly life: Life;
  readonly shadow: ShadowLog;
  readonly invariants: Invariants;
  readonly coverage: Coverage;
  readonly core: () => RaftCore | null;
  /** The driver has handed out everything that its core wanted done: core and shadow tell the same. */
  readonly onDrained: () => void;
}

const READ_BYTES = 64 * 1024;

/** What a log that was just opened holds, read through its own reader. */
export async function readShadow(log: DurableLog): Promise<ShadowLog> {
  const shadow = new ShadowLog();
  shadow.reset(log.firstIndex - 1, log.baseTerm);
  for (let next = log.firstIndex; next <= log.lastIndex; ) {
    const batches = await log.read(next, READ_BYTES);
    if (batches.length === 0) throw new Error(`The log ends at ${log.lastIndex}, but not ${next}`);
    for (const batch of batches) {
      shadow.append(0, batch);
      next = batch.firstIndex + batch.count;
    }
  }
  shadow.setHardState(0, log.hardState);
  shadow.durable(0);
  return shadow;
}

/** Puts itself before the methods of this one log. */
export function observeLog(log: DurableLog, observer: Observer): void {
  const { nodeId, shadow, invariants, coverage, core } = observer;
  const real = {
    append: log.append.bind(log),
    setHardState: log.setHardState.bind(log),
    truncateSuffix: log.truncateSuffix.bind(log),
    truncatePrefix: log.truncatePrefix.bind(log),
    resetTo: log.resetTo.bind(log),
    setOwner: log.setOwner.bind(log),
    flush: log.flush.bind(log),
  };
  log.append = (batch): number => {
    const sequence = real.append(batch);
    const first = shadow.lastIndex + 1;
    shadow.append(sequence, batch);
    invariants.appended(nodeId, shadow, first);
    if (batch.kind === BATCH_KIND.membership) {
      const next = decodeMembershipBatch(batch);
      // The log alone does not know: the one before may have come with a snapshot.
      const raft = core();
      const before = raft?.state.log.memberships.findLast(({ index }) => index < batch.firstIndex);
      if (raft !== null && before !== undefined) {
        const { commitIndex } = raft;
        const isOwn = raft.isLeader && batch.term === raft.term;
        if (isOwn) checkChange(nodeId, { index: batch.firstIndex, before, commitIndex });
        noteChange(coverage, before.membership, next);
        invariants.reconfigured(batch.firstIndex, batch.term, before.membership, next);
      }
    }
    return sequence;
  };
  log.setHardState = (hardState: HardState): number => {
    const sequence = real.setHardState(hardState);
    shadow.setHardState(sequence, hardState);
    return sequence;
  };
  log.truncateSuffix = (cut): void => {
    const status = core();
    const isLeader = status?.isLeader === true;
    invariants.truncated(nodeId, isLeader, status?.term ?? 0, shadow, cut.fromIndex);
    coverage.hit("suffixCut");
    real.truncateSuffix(cut);
    shadow.truncateSuffix(cut.fromIndex);
  };
  log.truncatePrefix = (throughIndex): void => {
    coverage.hit("logCut");
    real.truncatePrefix(throughIndex);
    // The log keeps whole segments; what it says is what counts.
    shadow.truncatePrefix(Math.min(throughIndex, log.firstIndex - 1));
  };
  log.resetTo = (base): number => {
    const sequence = real.resetTo(base);
    shadow.reset(base.index, base.term, sequence);
    return sequence;
  };
  log.flush = (waitBytes): void => {
    observer.onDrained();
    real.flush(waitBytes);
  };
  log.setOwner = (owner): void => {
    real.setOwner({
      onDurable: (sequence) => {
        if (!observer.life.isAlive) return;
        shadow.durable(sequence);
        const { term, vote } = shadow.durableHardState;
        invariants.voted(nodeId, term, vote);
        owner.onDurable(sequence);
      },
      onFailed: (error) => {
        if (observer.life.isAlive) owner.onFailed(error);
      },
    });
  };
}

function noteChange(coverage: Coverage, before: Membership, after: Membership): void {
  if (after.votersOutgoing.length > 0) coverage.hit("jointEntered");
  else if (before.votersOutgoing.length > 0) coverage.hit("jointLeft");
}
