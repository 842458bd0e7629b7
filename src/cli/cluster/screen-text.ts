/** The picture of a cluster as lines for a terminal (ux, 2). */
import type { NodeStatus } from "../../admin/index.ts";
import { formatBytes, formatCount, formatDuration } from "../../base/index.ts";
import { countOf } from "../compaction/answers.ts";
import { type Cell, type Column, formatTable } from "../table.ts";
import type { ClusterScreen, MemberRow } from "./screen.ts";

export function screenLines(screen: ClusterScreen, asked: NodeStatus): string[] {
  return [
    headline(screen, asked),
    ...problemLines(screen),
    ...screen.warnings.map(({ member, text }) => `  ~ ${member}: ${text}`),
    leaderLine(screen),
    ...(screen.isChanging ? ["change  the set of voters is being changed"] : []),
    ...memberTable(screen),
    ...indexLines(asked),
    ...compactionLines(asked),
    addressLine(asked),
  ];
}

function headline(screen: ClusterScreen, asked: NodeStatus): string {
  const cluster = `cluster ${screen.clusterId ?? "?"}`;
  return `${cluster}  ${stateWord(screen, asked)}: ${voterSentence(screen)}`;
}

function stateWord({ state, isHealthy }: ClusterScreen, asked: NodeStatus): string {
  if (isHealthy) return "healthy";
  return (state === "unknown" ? asked.state : state).toUpperCase();
}

export function voterSentence(screen: ClusterScreen): string {
  const { voters, votersUp, failureTolerance, learners } = screen;
  if (voters === null || votersUp === null) return "voters unknown";
  const up = `${votersUp} of ${voters} ${voters === 1 ? "voter" : "voters"} up`;
  const quorum = Math.floor(voters / 2) + 1;
  const can = votersUp < quorum ? `${quorum} needed` : `can lose ${failureTolerance}`;
  const others = learners === 0 ? "" : `, ${learners} ${learners === 1 ? "learner" : "learners"}`;
  return `${up}, ${can}${others}`;
}

export function problemLines({ problems }: ClusterScreen): string[] {
  return problems.flatMap(({ member, text, next }) => [
    `  ! ${member === null ? "" : `${member}${isSentence(text) ? " " : ": "}`}${text}`,
    ...next.map((step, i) => (i === 0 ? `    next: ${step}` : `    ${step}`)),
  ]);
}

/** What a member does or does not do reads on from its name; a node's own word about itself does not. */
function isSentence(text: string): boolean {
  return /^(?:gives|is not|answers)\b/.test(text);
}

export function leaderLine({ leader, term, leaderForMs }: ClusterScreen): string {
  if (leader === null) return "leader  none known";
  const inTerm = term === null ? "" : `  term ${formatCount(term)}`;
  const since =
    leaderForMs === null ? "" : `, for ${formatDuration(Math.ceil(leaderForMs / 1_000) * 1_000)}`;
  return `leader  ${leader.id}${inTerm}${since}`;
}

const COLUMNS: readonly Column[] = [
  { title: "NODE", align: "left" },
  { title: "ROLE", align: "left" },
  { title: "STATE", align: "left" },
  { title: "VERSION", align: "left" },
  { title: "APPLIED", align: "right" },
  { title: "LAG", align: "right" },
  { title: "CONTACT", align: "right" },
  { title: "DISK", align: "right" },
];

function memberTable({ members }: ClusterScreen): string[] {
  const lines = formatTable(
    COLUMNS,
    members.map((row) => [
      row.id,
      row.role ?? undefined,
      row.state,
      row.version ?? undefined,
      appliedCell(row),
      lagCell(row),
      contactCell(row),
      row.diskBytes === null ? undefined : formatBytes(row.diskBytes),
    ]),
  );
  const isAnyOld = members.some(({ isUp }) => !isUp);
  return isAnyOld ? [...lines, "* last known"] : lines;
}

export function appliedCell({ appliedIndex, isUp }: MemberRow): Cell {
  if (appliedIndex === null) return undefined;
  return isUp ? appliedIndex : `${formatCount(appliedIndex)}*`;
}

export function lagCell({ lagEntries, isLeader, isUp }: MemberRow): Cell {
  if (isLeader && isUp) return null;
  return lagEntries ?? undefined;
}

export function contactCell({ lastContactMs, isSelf, isUp }: MemberRow): Cell {
  if (isSelf) return null;
  if (lastContactMs === null) return undefined;
  const isLong = lastContactMs >= 10_000;
  const shown = formatDuration(
    isLong ? Math.round(lastContactMs / 1_000) * 1_000 : Math.round(lastContactMs),
  );
  return isUp ? shown : `${shown}*`;
}

function indexLines({ index }: NodeStatus): string[] {
  if (index === null) return [];
  const { blocks, datasets, databaseBytes } = index;
  const counts = `${countOf(blocks, "block")}, ${countOf(datasets, "dataset")}`;
  return [`index       ${counts}, ${formatBytes(databaseBytes)} on disk`];
}

function compactionLines({ compaction }: NodeStatus): string[] {
  // A node of an earlier version does not say.
  if (compaction == null) return [];
  if (!compaction.isOn) return ["compaction  off: the first poll of a worker turns it on"];
  const { jobsRunning, jobsFailed, oldestWaitingMs, pausedLevels, pausedTenants } = compaction;
  const oldest =
    oldestWaitingMs === null
      ? "nothing waits"
      : `oldest waiting block ${formatDuration(Math.round(oldestWaitingMs / 1_000) * 1_000)}`;
  const isPaused = pausedLevels + pausedTenants > 0;
  const paused = isPaused
    ? `, PAUSED: ${countOf(pausedLevels, "level")}, ${countOf(pausedTenants, "tenant")} (hearth compaction status)`
    : "";
  const running = `${countOf(jobsRunning, "job")} running, ${formatCount(jobsFailed)} failed`;
  return [`compaction  ${running}, ${oldest}${paused}`];
}

function addressLine(asked: NodeStatus): string {
  const { websocketAddress, listener, nodeId, httpAddress } = asked;
  const socket = websocketAddress === null ? "not listening yet" : websocketAddress;
  const kind = listener === null ? "" : ` (${listener})`;
  return `asked       ${nodeId}: http ${httpAddress}, websocket ${socket}${kind}`;
}
