/** `hearth status`: one screen of truth. Exit 4 when a node answers and is not ready. */
import { setTimeout as sleep } from "node:timers/promises";
import type { NodeStatus } from "../../../admin/index.ts";
import { formatBytes, formatCount, formatDuration } from "../../../base/index.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { UnreachableError } from "../../failure.ts";
import { NodeApi } from "../../node-api.ts";
import { type Cell, formatTable } from "../../table.ts";

interface StatusAnswer extends NodeStatus {
  readonly asOf: string;
}

interface Asked {
  readonly endpoint: string;
  readonly status: StatusAnswer;
}

const WAIT_INTERVAL_MS = 500;

export async function run(context: CommandContext): Promise<ExitCode> {
  const asked = context.flags.has("wait") ? await waitUntilReady(context) : await ask(context);
  const { globals, terminal, spec } = context;
  const { endpoint, status } = asked;
  if (globals.isJson) {
    terminal.out(
      JSON.stringify({ schema: spec.schema, asOf: status.asOf, endpoint, nodes: [status] }),
    );
  } else {
    for (const line of statusLines(asked)) terminal.out(line);
  }
  return status.state === "ready" ? EXIT.done : EXIT.bad;
}

async function ask(context: CommandContext): Promise<Asked> {
  const request = { method: "GET", path: "/api/v1/status" } as const;
  const { endpoint, value } = await NodeApi.of(context).json<StatusAnswer>(request);
  return { endpoint, status: value };
}

/** Asks until the node is ready or the time is over; then what was seen last is the answer. */
async function waitUntilReady(context: CommandContext): Promise<Asked> {
  const deadlineAtMs = performance.now() + context.globals.timeoutMs;
  for (;;) {
    const last = await ask(context).catch((error: unknown) => {
      if (error instanceof UnreachableError) return error;
      throw error;
    });
    const isOver = performance.now() >= deadlineAtMs;
    if (last instanceof UnreachableError) {
      if (isOver) throw last;
    } else if (isOver || last.status.state === "ready") {
      return last;
    }
    await sleep(WAIT_INTERVAL_MS, undefined, { signal: context.signal });
  }
}

/** The screen of one node. With more members it will have a row for each. */
export function statusLines({ endpoint, status }: Asked): string[] {
  const { raft } = status;
  const isReady = status.state === "ready";
  const lines: string[] = [];
  const voters =
    raft === null ? "voters unknown" : voterSentence(raft.reachableVoters, raft.voters);
  lines.push(
    `cluster ${status.clusterId ?? "?"}  ${isReady ? "healthy" : status.state.toUpperCase()}: ${voters}`,
  );
  if (status.problem !== null) {
    lines.push(
      `  ! ${status.nodeId}: ${status.problem}`,
      `    next: ${endpoint}/ready?verbose lists every check`,
    );
  }
  const leader = raft?.leaderId ?? null;
  lines.push(
    leader === null
      ? "leader  none known"
      : `leader  ${leader}  term ${formatCount(raft?.term ?? 0)}`,
  );
  lines.push(...nodeTable(status));
  if (status.index !== null) {
    const { blocks, datasets, databaseBytes } = status.index;
    const counts = `${formatCount(blocks)} blocks, ${formatCount(datasets)} datasets`;
    lines.push(`index   ${counts}, ${formatBytes(databaseBytes)} on disk`);
  }
  lines.push(addressLine(status));
  return lines;
}

function voterSentence(reachable: number, voters: number): string {
  const tolerance = Math.max(0, reachable - (Math.floor(voters / 2) + 1));
  return `${reachable} of ${voters} ${voters === 1 ? "voter" : "voters"} up, can lose ${tolerance}`;
}

function nodeTable(status: StatusAnswer): string[] {
  const { raft, logBytes, index } = status;
  const disk =
    logBytes === null || index === null ? undefined : formatBytes(logBytes + index.databaseBytes);
  const row: Cell[] = [
    status.nodeId,
    raft?.role,
    status.state,
    status.version,
    raft?.appliedIndex,
    raft === null ? undefined : raft.commitIndex - raft.appliedIndex,
    `${status.readers.running}/${status.readers.wanted}`,
    disk,
    formatDuration(Math.max(1_000, Math.round(status.uptimeMs / 1_000) * 1_000)),
  ];
  return formatTable(
    [
      { title: "NODE", align: "left" },
      { title: "ROLE", align: "left" },
      { title: "STATE", align: "left" },
      { title: "VERSION", align: "left" },
      { title: "APPLIED", align: "right" },
      { title: "LAG", align: "right" },
      { title: "READERS", align: "right" },
      { title: "DISK", align: "right" },
      { title: "UP", align: "right" },
    ],
    [row],
  );
}

function addressLine(status: StatusAnswer): string {
  const socket = status.websocketAddress === null ? "not listening yet" : status.websocketAddress;
  const kind = status.listener === null ? "" : ` (${status.listener})`;
  return `listens http ${status.httpAddress}, websocket ${socket}${kind}`;
}
