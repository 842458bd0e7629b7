/**
 * The sentences of `/ready` and `/livez`, as functions of what the node knows of itself (the table of ux, 4). Pure, so
 * that each sentence has a test; the composition root hands in a view that is current whenever it is asked.
 */
import { formatCount, formatDuration } from "../base/index.ts";
import { CHECK_OK, type CheckResult, type HealthCheck } from "./health.ts";

export type NodePhase =
  /** Before anything that can be counted: `doing` completes the sentence "starting: ...". */
  | { readonly kind: "starting"; readonly doing: string }
  /** Others have to act: `text` is the whole sentence. */
  | { readonly kind: "waiting"; readonly text: string }
  | {
      readonly kind: "replaying";
      readonly appliedIndex: number;
      readonly lastIndex: number;
      readonly entriesPerSec: number;
    }
  /** A snapshot takes the place of the state, at a start or because this member is far behind. */
  | {
      readonly kind: "restoring";
      readonly term: number;
      readonly index: number;
      readonly doneBytes: number;
      readonly totalBytes: number;
      readonly elapsedMs: number;
    }
  | { readonly kind: "running" }
  | { readonly kind: "stopping"; readonly doing: string; readonly leftMs: number };

export interface VoterView {
  readonly name: string;
  readonly isReached: boolean;
  readonly problem: string | null;
}

/** The node's seat in its cluster. */
export type SeatView =
  | { readonly kind: "member" }
  /** It belongs to a cluster, and has not heard of its members yet. */
  | { readonly kind: "expected"; readonly clusterId: string }
  /** The newest configuration is without it, and an earlier one was not. */
  | { readonly kind: "removed"; readonly atIndex: number }
  /** The newest configuration here is without it, and nothing tells whether it ever had a seat. */
  | { readonly kind: "outside"; readonly clusterId: string };

/** What a node knows of itself at this moment. Durations are measured by a clock that never jumps. */
export interface NodeView {
  readonly phase: NodePhase;
  readonly hasLeader: boolean;
  readonly leaderlessMs: number;
  readonly voterCount: number;
  readonly reachableVoterCount: number;
  /** The voters but this node, and why those are silent that are; null: no problem known. */
  readonly otherVoters: readonly VoterView[];
  readonly seat: SeatView;
  /** Entries that are missing here for a consistent read; null: none, or not known. */
  readonly lag: { readonly entries: number; readonly entriesPerSec: number } | null;
  /** Why no member can be added or reach this node; null: the peer port is open. */
  readonly peerPortProblem: string | null;
  /** A log write that hangs has cost this node the leadership. */
  readonly hasGivenUpLeadership: boolean;
  /** A committed entry waits for its application; 0 when none does. */
  readonly applyPendingMs: number;
  /** First entry that waits. */
  readonly applyPendingIndex: number;
  /** Age of the oldest log write that is not durable yet; 0 when none is pending. */
  readonly logWritePendingMs: number;
  /** What keeps the next segment of the log from being made; null: nothing. */
  readonly space: { readonly text: string; readonly isReadOnly: boolean } | null;
  /** Why the disk of the index is nearly full; null: it is not. */
  readonly indexSpaceProblem: string | null;
  /** Why no more blocks are taken; null: they are. */
  readonly indexFullProblem: string | null;
  readonly readerCount: number;
  readonly readerRunningCount: number;
  /** Restarts that failed in a row since a reader last ran. */
  readonly readerFailedRestartCount: number;
  /** Time since the node became able to serve consistent reads, or null while it is not. */
  readonly consistentMs: number | null;
  readonly minReadyMs: number;
}

/** A write slower than this is no longer a slow disk but a stalled one; the alert LogWriteStalled fires at 5 s. */
const LOG_STALL_MS = 2_000;
/** Longer than any transaction: what is not applied by then never will be, and a restart replays it. */
const APPLY_STUCK_MS = 60_000;
/** So many failed restarts in a row mean that the pool will not come back by itself. */
const READER_RESTART_MAX = 5;

/** The checks of a node. `view` is called once per check. */
export function nodeChecks(view: () => NodeView): HealthCheck[] {
  return [
    { name: "phase", kind: "ready", check: () => checkPhase(view()) },
    { name: "member", kind: "ready", check: () => checkMember(view()) },
    { name: "leader", kind: "ready", check: () => checkLeader(view()) },
    { name: "peers", kind: "ready", check: () => checkPeers(view()) },
    { name: "log", kind: "ready", check: () => checkLog(view()) },
    { name: "disk", kind: "ready", check: () => checkSpace(view()) },
    { name: "readers", kind: "ready", check: () => checkReaders(view()) },
    { name: "consistent", kind: "ready", check: () => checkConsistent(view()) },
    { name: "apply", kind: "live", check: () => checkApply(view()) },
    { name: "readers", kind: "live", check: () => checkReadersAlive(view()) },
  ];
}

function checkPhase({ phase }: NodeView): CheckResult {
  switch (phase.kind) {
    case "running":
      return CHECK_OK;
    case "starting":
      return failed(`starting: ${phase.doing}`);
    case "waiting":
      return failed(phase.text);
    case "replaying": {
      const left = phase.lastIndex - phase.appliedIndex;
      const isRated = phase.entriesPerSec > 0 && left > 0;
      const end = isRated ? `, about ${seconds((left / phase.entriesPerSec) * 1_000)} left` : "";
      return failed(
        `replaying log: ${formatCount(phase.appliedIndex)} of ${formatCount(phase.lastIndex)}${end}`,
      );
    }
    case "restoring":
      return failed(restoringInWords(phase));
    case "stopping":
      return failed(`shutting down: ${phase.doing}, ${seconds(phase.leftMs)} left`);
  }
}

function restoringInWords(phase: NodePhase & { readonly kind: "restoring" }): string {
  const { term, index, doneBytes, totalBytes, elapsedMs } = phase;
  const ratio = totalBytes === 0 ? 0 : doneBytes / totalBytes;
  const leftMs = ratio === 0 ? null : (elapsedMs * (1 - ratio)) / ratio;
  const end = leftMs === null || ratio >= 1 ? "" : `, about ${seconds(leftMs)} left`;
  return `restoring snapshot ${term}-${index}: ${Math.floor(100 * ratio)} %${end}`;
}

function checkMember({ phase, seat }: NodeView): CheckResult {
  if (phase.kind !== "running" || seat.kind === "member") return CHECK_OK;
  if (seat.kind === "removed")
    return failed(`removed from the cluster at log index ${formatCount(seat.atIndex)}`);
  if (seat.kind === "outside")
    return failed(
      `not a member of cluster ${seat.clusterId} as far as its log goes: being added, or removed`,
    );
  return failed(`waiting for the leader of cluster ${seat.clusterId} to send its log`);
}

function checkLeader(view: NodeView): CheckResult {
  if (view.hasLeader || view.phase.kind !== "running") return CHECK_OK;
  const { voterCount, reachableVoterCount, leaderlessMs } = view;
  return failed(
    `no leader for ${seconds(leaderlessMs)}: reached ${reachableVoterCount} of ${voterCount} voters${votersInWords(view)}`,
  );
}

/** Those that answer first, then the others with their reasons. */
function votersInWords({ otherVoters }: NodeView): string {
  const reached = otherVoters.filter(({ isReached }) => isReached).map(({ name }) => name);
  const silent = otherVoters
    .filter(({ isReached }) => !isReached)
    .map(({ name, problem }) => `${name} ${problem ?? "gave no answer"}`);
  const parts = [reached.join(", "), silent.join(", ")].filter((part) => part !== "");
  return parts.length === 0 ? "" : ` (${parts.join("; ")})`;
}

function checkPeers({ peerPortProblem, otherVoters }: NodeView): CheckResult {
  if (peerPortProblem !== null)
    return { state: "warning", reason: `no peer port: ${peerPortProblem}` };
  const silent = otherVoters.filter(({ isReached }) => !isReached);
  if (silent.length === 0) return CHECK_OK;
  const words = silent.map(({ name, problem }) => `${name} ${problem ?? "gives no answer"}`);
  return { state: "warning", reason: words.join(", ") };
}

function checkLog({ logWritePendingMs, hasGivenUpLeadership, space }: NodeView): CheckResult {
  if (logWritePendingMs < LOG_STALL_MS) return CHECK_OK;
  const cost = hasGivenUpLeadership ? "; leadership was given up" : "";
  const why = space === null ? "" : ` (${space.text})`;
  return failed(`a log write is pending for ${formatDuration(logWritePendingMs)}${why}${cost}`);
}

/** Reads go on; for how long, without room for the index, nobody knows. */
function checkSpace({ space, indexSpaceProblem, indexFullProblem }: NodeView): CheckResult {
  const problems: string[] = [];
  if (space !== null) {
    const what = space.isReadOnly ? "read-only" : "no room for the next segment of the log";
    problems.push(`${what}: ${space.text}`);
  }
  if (indexFullProblem !== null) problems.push(`no room for more blocks: ${indexFullProblem}`);
  else if (indexSpaceProblem !== null)
    problems.push(`little room for the index: ${indexSpaceProblem}`);
  return problems.length === 0 ? CHECK_OK : { state: "warning", reason: problems.join("; ") };
}

function checkReaders(view: NodeView): CheckResult {
  if (view.phase.kind !== "running") return CHECK_OK;
  const { readerCount, readerRunningCount } = view;
  if (readerRunningCount === 0)
    return failed(`no reader thread is running, ${readerCount} are being started`);
  if (readerRunningCount === readerCount) return CHECK_OK;
  return {
    state: "warning",
    reason: `${readerRunningCount} of ${readerCount} reader threads are running`,
  };
}

function checkConsistent(view: NodeView): CheckResult {
  if (view.phase.kind !== "running") return CHECK_OK;
  if (view.lag !== null) return failed(lagInWords(view.lag));
  if (view.consistentMs === null) return failed("no read would be consistent yet");
  if (view.consistentMs >= view.minReadyMs) return CHECK_OK;
  return failed(
    `consistent for ${seconds(view.consistentMs)} of ${seconds(view.minReadyMs)} (metastore.min-ready-duration)`,
  );
}

function lagInWords({ entries, entriesPerSec }: NonNullable<NodeView["lag"]>): string {
  const behind = `${formatCount(entries)} entries behind the leader`;
  if (entriesPerSec < 1) return behind;
  const left = seconds((entries / entriesPerSec) * 1_000);
  return `${behind}, catching up at ${formatCount(Math.round(entriesPerSec))}/s, about ${left} left`;
}

function checkApply(view: NodeView): CheckResult {
  if (view.applyPendingMs < APPLY_STUCK_MS) return CHECK_OK;
  return failed(
    `entry ${formatCount(view.applyPendingIndex)} committed but not applied for ${seconds(view.applyPendingMs)}`,
  );
}

function checkReadersAlive(view: NodeView): CheckResult {
  const isGone =
    view.readerRunningCount === 0 && view.readerFailedRestartCount >= READER_RESTART_MAX;
  if (!isGone) return CHECK_OK;
  return failed(`all reader threads exited, ${view.readerFailedRestartCount} restarts failed`);
}

function failed(reason: string): CheckResult {
  return { state: "failed", reason };
}

/** Whole seconds below a minute: a probe's reader needs no tenths. */
function seconds(durationMs: number): string {
  return durationMs < 60_000 ? `${Math.round(durationMs / 1_000)} s` : formatDuration(durationMs);
}
