/**
 * One picture of a cluster from what its nodes said: who is up, who leads, what is wrong and what to do about it. Pure, so
 * that every sentence has a test. No member is left out because it is down, and nothing is shown as newer than it is.
 */
import type { MemberEntry, NodeStatus } from "../../admin/index.ts";
import { formatCount, formatDuration, type LeaderHint } from "../../base/index.ts";
import type { Suffrage } from "../../service/index.ts";
import { RefusedError } from "../failure.ts";
import type { ClusterAnswers } from "./answers.ts";

export interface MemberRow {
  readonly id: string;
  readonly nodeId: string | null;
  /** leader, follower, learner, ...; null: not known, since it is silent. */
  readonly role: string | null;
  readonly suffrage: Suffrage | null;
  readonly isLeader: boolean;
  /** The node that was asked. */
  readonly isSelf: boolean;
  /** It gave its own word just now. */
  readonly isUp: boolean;
  /** Its own word in one; "down" when there is none. */
  readonly state: string;
  readonly version: string | null;
  readonly appliedIndex: number | null;
  /** Log entries behind the leader; null: unknown, or the leader itself. */
  readonly lagEntries: number | null;
  /** Since the asked node last heard of it; null: never, or the asked node itself. */
  readonly lastContactMs: number | null;
  /** Age of version, index and disk; null: not known at all. */
  readonly ageMs: number | null;
  /** Log and index on its disk. */
  readonly diskBytes: number | null;
  readonly address: string | null;
  readonly problem: string | null;
}

export interface ClusterProblem {
  /** Null: of the cluster as a whole. */
  readonly member: string | null;
  readonly text: string;
  /** What to do about it, one step each. */
  readonly next: readonly string[];
}

export type ClusterState = "healthy" | "degraded" | "no leader" | "unknown";

export interface ClusterScreen {
  readonly asOf: string;
  readonly endpoint: string;
  readonly askedNode: string;
  readonly clusterId: string | null;
  readonly state: ClusterState;
  readonly isHealthy: boolean;
  readonly term: number | null;
  readonly leader: LeaderHint | null;
  /** Since the leader knows that it leads, ms; null: nobody leads, or the leader did not say. */
  readonly leaderForMs: number | null;
  /** Null: not known, the asked node does not know its members. */
  readonly voters: number | null;
  readonly votersUp: number | null;
  /** How many more voters may go and the cluster goes on. */
  readonly failureTolerance: number | null;
  readonly learners: number;
  /** A change of the voters is under way. */
  readonly isChanging: boolean;
  readonly problems: readonly ClusterProblem[];
  /** What somebody should know though all goes well. */
  readonly warnings: readonly { readonly member: string; readonly text: string }[];
  readonly members: readonly MemberRow[];
}

/** Errors: RefusedError when two nodes claim leadership in one term. */
export function buildScreen(answers: ClusterAnswers): ClusterScreen {
  const { asked, members, endpoint } = answers;
  refuseTwoLeaders(answers);
  // A node that has not been added, or not been fed, knows of nobody yet.
  if (members === null || members.members.length === 0) return loneScreen(answers);
  const leader = newestLeader(answers);
  const appliedByLeader = statusOf(answers, leader?.id)?.raft?.appliedIndex ?? null;
  const rows = members.members.map((entry) => row(entry, answers, { leader, appliedByLeader }));
  // It was removed, or is about to join: it is no member, and still the one that was asked.
  if (!rows.some(({ isSelf }) => isSelf)) rows.push(selfRow(asked));
  const voters = rows.filter(({ suffrage }) => suffrage === "voter");
  const votersUp = voters.filter(({ isUp }) => isUp).length;
  const quorum = Math.floor(voters.length / 2) + 1;
  const problems = findProblems({
    rows,
    leader,
    endpoint,
    votersUp,
    quorum,
    voters: voters.length,
  });
  const state = leader === null ? "no leader" : problems.length > 0 ? "degraded" : "healthy";
  return {
    asOf: members.asOf,
    endpoint,
    askedNode: asked.nodeId,
    clusterId: members.clusterId,
    state,
    isHealthy: state === "healthy",
    term: Math.max(members.term, leader?.term ?? 0),
    leader: leader === null ? null : { id: leader.id, address: leader.address },
    leaderForMs: statusOf(answers, leader?.id)?.raft?.leaderForMs ?? null,
    voters: voters.length,
    votersUp,
    failureTolerance: Math.max(0, votersUp - quorum),
    learners: rows.filter(({ suffrage }) => suffrage === "learner").length,
    isChanging: members.isChanging,
    problems,
    warnings: freshWords(answers).flatMap(warningsOf),
    members: rows,
  };
}

/** A node that does not know its members yet tells of itself. */
function loneScreen({ asked, endpoint }: ClusterAnswers): ClusterScreen {
  const { raft, problem } = asked;
  const isHealthy = asked.state === "ready" && raft !== null;
  const self = selfRow(asked);
  const voters = raft?.voters ?? null;
  const votersUp = raft?.reachableVoters ?? null;
  const hasCount = voters !== null && votersUp !== null;
  return {
    asOf: asked.asOf,
    endpoint,
    askedNode: asked.nodeId,
    clusterId: asked.clusterId,
    state: isHealthy ? "healthy" : "unknown",
    isHealthy,
    term: raft?.term ?? null,
    leader: raft === null || raft.leaderId === null ? null : { id: raft.leaderId, address: "" },
    leaderForMs: raft?.leaderForMs ?? null,
    voters,
    votersUp,
    failureTolerance: hasCount ? Math.max(0, votersUp - Math.floor(voters / 2) - 1) : null,
    learners: 0,
    isChanging: false,
    problems: problem === null ? [] : [notReady(asked.nodeId, problem, endpoint)],
    warnings: warningsOf(asked),
    members: [self],
  };
}

function selfRow(asked: NodeStatus): MemberRow {
  const { raft } = asked;
  return {
    id: asked.nodeId,
    nodeId: null,
    role: raft?.role ?? null,
    suffrage: null,
    isLeader: raft?.role === "leader",
    isSelf: true,
    isUp: true,
    state: asked.state,
    version: asked.version,
    appliedIndex: raft?.appliedIndex ?? null,
    lagEntries: null,
    lastContactMs: null,
    ageMs: 0,
    diskBytes: diskBytesOf(asked),
    address: asked.httpAddress,
    problem: asked.problem,
  };
}

/** Checks that hold with a reservation; what nodes say of silent peers is told of those themselves. */
function warningsOf({ nodeId, checks, raft }: NodeWord): ClusterScreen["warnings"] {
  const hasPeers = (raft?.voters ?? 1) > 1;
  const found = (checks ?? []).filter(
    ({ state, name }) => state === "warning" && !(hasPeers && name === "peers"),
  );
  return found.map(({ name, reason }) => ({ member: nodeId, text: `${name}: ${reason ?? "?"}` }));
}

interface Leading extends LeaderHint {
  readonly term: number;
}

/** GET /api/v1/status as it arrives. */
interface NodeWord extends NodeStatus {
  readonly checks?: readonly {
    readonly name: string;
    readonly state: string;
    readonly reason: string | null;
  }[];
}

/** Everybody's own word that counts now: the asked node, members that it reached, other endpoints. */
function freshWords({ asked, members, others }: ClusterAnswers): NodeWord[] {
  const collected = (members?.members ?? []).flatMap(({ status, statusProblem }) =>
    status !== null && statusProblem === null ? [status as NodeWord] : [],
  );
  const all: NodeWord[] = [asked, ...collected, ...others.map(({ status }) => status)];
  return all.filter((word, i) => all.findIndex(({ nodeId }) => nodeId === word.nodeId) === i);
}

function statusOf(answers: ClusterAnswers, id: string | undefined): NodeStatus | null {
  return freshWords(answers).find(({ nodeId }) => nodeId === id) ?? null;
}

/** Where others reach a member: its own word is where it listens, which may be every interface. */
function httpAddressOf({ members }: ClusterAnswers, id: string, own: string | null): string | null {
  const told = members?.members.find((entry) => entry.id === id)?.addresses.http ?? "";
  return told === "" ? own : told;
}

/** Who claims to lead in the newest term; without such a word, whom the asked node takes for the leader. */
function newestLeader(answers: ClusterAnswers): Leading | null {
  const { members, asked } = answers;
  const claims = freshWords(answers)
    .flatMap(({ nodeId, httpAddress, clusterId, raft }) =>
      raft?.role === "leader" && clusterId === asked.clusterId
        ? [
            {
              id: nodeId,
              address: httpAddressOf(answers, nodeId, httpAddress) ?? "",
              term: raft.term,
            },
          ]
        : [],
    )
    .sort((left, right) => right.term - left.term);
  const [claim] = claims;
  const term = members?.term ?? 0;
  const heard = members?.leader ?? null;
  if (claim === undefined || claim.term < term) return heard === null ? null : { ...heard, term };
  return claim;
}

/** Raft makes this impossible: it means damage, or two clusters under one id. Nothing is shown as if it were well. */
function refuseTwoLeaders(answers: ClusterAnswers): void {
  const claims = freshWords(answers).flatMap((word) =>
    word.raft?.role === "leader" ? [{ ...word, raft: word.raft }] : [],
  );
  for (const [i, first] of claims.entries()) {
    const second = claims
      .slice(i + 1)
      .find(
        ({ clusterId, raft }) => clusterId === first.clusterId && raft.term === first.raft.term,
      );
    if (second === undefined) continue;
    const view = ({ nodeId, httpAddress, raft }: typeof first): string =>
      `${nodeId} at ${httpAddress}: leads in term ${raft.term}, commit ${formatCount(raft.commitIndex)}, applied ${formatCount(raft.appliedIndex)}, last ${formatCount(raft.lastIndex)}, sees ${raft.reachableVoters} of ${raft.voters} voters`;
    throw new RefusedError(
      `two nodes of cluster ${first.clusterId} lead in term ${first.raft.term}`,
      [view(first), view(second)],
      "Change nothing; stop the one that fewer voters follow, keep its directories, and report it",
    );
  }
}

interface Leadership {
  readonly leader: Leading | null;
  readonly appliedByLeader: number | null;
}

function row(entry: MemberEntry, answers: ClusterAnswers, leadership: Leadership): MemberRow {
  const { leader, appliedByLeader } = leadership;
  const fresh = statusOf(answers, entry.id);
  const known = fresh ?? (entry.status as NodeStatus | null);
  // Not asked at all, and connected: nothing says that it is down.
  const isUp = fresh !== null || (entry.statusProblem === null && entry.isConnected);
  const isLeader = entry.id === leader?.id;
  const appliedIndex = known?.raft?.appliedIndex ?? entry.matchIndex;
  const lag =
    appliedByLeader === null || fresh?.raft == null
      ? entry.lagEntries
      : Math.max(0, appliedByLeader - fresh.raft.appliedIndex);
  const isLearner = entry.suffrage === "learner";
  return {
    id: entry.id,
    nodeId: entry.nodeId,
    role: isUp ? (isLearner ? "learner" : (fresh?.raft?.role ?? null)) : null,
    suffrage: entry.suffrage,
    isLeader,
    isSelf: entry.isSelf,
    isUp,
    state: isUp ? (fresh?.state ?? "?") : "down",
    version: known?.version ?? entry.version,
    appliedIndex,
    lagEntries: isLeader || !isUp ? null : lag,
    lastContactMs: entry.isSelf ? null : entry.lastContactMs,
    ageMs: fresh === null ? entry.ageMs : 0,
    diskBytes: known === null ? null : diskBytesOf(known),
    address: httpAddressOf(answers, entry.id, known?.httpAddress ?? null),
    problem: problemOf(entry, { fresh, isUp, appliedIndex, asked: answers.asked.nodeId }),
  };
}

function diskBytesOf({ logBytes, index }: NodeStatus): number | null {
  return logBytes === null || index === null ? null : logBytes + index.databaseBytes;
}

interface Known {
  readonly fresh: NodeStatus | null;
  readonly isUp: boolean;
  readonly appliedIndex: number | null;
  readonly asked: string;
}

function problemOf(entry: MemberEntry, known: Known): string | null {
  const { fresh, isUp, appliedIndex, asked } = known;
  if (!isUp) {
    const since =
      entry.lastContactMs === null
        ? ""
        : ` since ${formatDuration(roundSeconds(entry.lastContactMs))}`;
    const reason = entry.statusProblem ?? entry.problem;
    const last = appliedIndex === null ? "" : `; last known: applied ${formatCount(appliedIndex)}`;
    return `gives no answer${since}${reason === null ? "" : ` (${reason})`}${last}`;
  }
  if (fresh !== null && fresh.state !== "ready")
    return `is not ready: ${fresh.problem ?? fresh.state}`;
  if (entry.isSelf) return null;
  if (entry.problem !== null) return `answers, but ${asked} has no link to it (${entry.problem})`;
  return null;
}

/** `4m 10s`, never `250,123 ms`. */
function roundSeconds(durationMs: number): number {
  return durationMs < 1_000 ? Math.round(durationMs) : Math.round(durationMs / 1_000) * 1_000;
}

interface Found {
  readonly rows: readonly MemberRow[];
  readonly leader: Leading | null;
  readonly endpoint: string;
  readonly voters: number;
  readonly votersUp: number;
  readonly quorum: number;
}

function findProblems({ rows, leader, endpoint, ...counts }: Found): ClusterProblem[] {
  const { voters, votersUp, quorum } = counts;
  const problems: ClusterProblem[] = [];
  const hasQuorum = votersUp >= quorum;
  if (leader === null) {
    const text = hasQuorum
      ? "nobody leads, though enough voters answer: an election may be under way"
      : `nobody leads: ${votersUp} of ${voters} voters give an answer, ${quorum} are needed`;
    problems.push({ member: null, text, next: hasQuorum ? STUCK_ELECTION : LOST_QUORUM });
  }
  for (const { id, problem, isUp, address, isSelf, suffrage } of rows) {
    if (problem === null) continue;
    if (isUp) {
      const where = isSelf || address === null ? endpoint : `http://${address}`;
      problems.push({
        member: id,
        text: problem,
        next: [`${where}/ready?verbose lists every check`],
      });
      continue;
    }
    const next = ["look at its process, its volume and the network to it"];
    if (hasQuorum && suffrage !== null)
      next.push(`if it never comes back: hearth member remove ${id} --dry-run`);
    problems.push({ member: id, text: problem, next });
  }
  return problems;
}

const STUCK_ELECTION: readonly string[] = [
  "ask again in a second; if it stays, look at port 9099 between the nodes and at their log writes",
];
const LOST_QUORUM: readonly string[] = [
  "start the voters that are down; writes and strong reads wait until then",
  "if a majority never comes back: docs/operate/recovery.md",
];

function notReady(member: string, problem: string, endpoint: string): ClusterProblem {
  return { member, text: problem, next: [`${endpoint}/ready?verbose lists every check`] };
}
