/** Compaction in a few numbers, for the status of a node: from what the state machine has in memory. */
import type { NodeStatus } from "../../admin/index.ts";
import type { StateMachine } from "../../state/index.ts";

export function compactionStatus({
  compaction,
}: Pick<StateMachine, "compaction">): NonNullable<NodeStatus["compaction"]> {
  const { policy } = compaction;
  const queues = compaction.queueTotals();
  const jobs = compaction.jobTotals();
  const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0);
  const oldest = queues.flatMap(({ level }) => compaction.oldestAtMs(level) ?? []);
  const oldestAtMs = oldest.length === 0 ? null : Math.min(...oldest);
  return {
    isOn: policy !== null,
    pausedLevels: policy?.pausedLevels.length ?? 0,
    pausedTenants: policy?.pausedTenants.length ?? 0,
    jobsRunning: sum(jobs.map(({ assigned, reassigned }) => assigned + reassigned)),
    jobsWaiting: sum(jobs.map(({ unassigned }) => unassigned)),
    jobsFailed: sum(jobs.map(({ failed }) => failed)),
    queuedBlocks: sum(queues.map(({ blocks }) => blocks)),
    oldestWaitingMs: oldestAtMs === null ? null : Math.max(0, Math.round(Date.now() - oldestAtMs)),
  };
}
