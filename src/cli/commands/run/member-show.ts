/** `hearth member show`: everything that the asked node knows of one member, and what that member says of itself. */
import type { MemberEntry, NodeStatus } from "../../../admin/index.ts";
import { formatBytes, formatCount, formatDuration } from "../../../base/index.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { NodeApi } from "../../node-api.ts";

interface MemberAnswer {
  readonly asOf: string;
  readonly clusterId: string | null;
  readonly askedNode: string;
  readonly member: MemberEntry;
}

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal, operands, spec } = context;
  const collectMs = Math.max(1, Math.min(1_000, Math.floor(globals.timeoutMs / 2)));
  const id = encodeURIComponent(operands[0] as string);
  const { endpoint, value } = await NodeApi.of(context).json<MemberAnswer>({
    method: "GET",
    path: `/api/v1/members/${id}?collect=${collectMs}ms`,
  });
  const { asOf, clusterId, askedNode, member } = value;
  if (globals.isJson) {
    const fields = { asOf, endpoint, clusterId, askedNode, member };
    terminal.out(JSON.stringify({ schema: spec.schema, ...fields }));
    return EXIT.done;
  }
  const facts = [...memberFacts(member, askedNode), ...ownFacts(member)];
  const width = Math.max(...facts.map(([name]) => name.length));
  for (const [name, text] of facts) terminal.out(`${name.padEnd(width)}  ${text}`);
  return EXIT.done;
}

type Fact = readonly [name: string, text: string];

/** What the asked node knows. */
function memberFacts(member: MemberEntry, askedNode: string): Fact[] {
  const { addresses, lastContactMs, roundTripMs, matchIndex, progress, problem } = member;
  const facts: Fact[] = [
    ["member", `${member.id}, ${member.suffrage}${member.isLeader ? ", leads" : ""}`],
    ["node id", member.nodeId],
    ["peer address", orUnknown(addresses.peer)],
    ["http address", orUnknown(addresses.http)],
    ["websocket address", orUnknown(addresses.websocket)],
  ];
  if (!member.isSelf) {
    const contact =
      lastContactMs === null ? "never" : `${formatDuration(Math.round(lastContactMs))} ago`;
    const trip = roundTripMs === null ? "" : `, round trip ${formatDuration(roundTripMs)}`;
    facts.push([`contact with ${askedNode}`, `${contact}${trip}`]);
  }
  if (matchIndex !== null) {
    const how = progress === null ? "" : `, fed by ${progress}`;
    facts.push(["log as the leader knows it", `up to ${formatCount(matchIndex)}${how}`]);
  }
  if (problem !== null) facts.push(["problem", problem]);
  return facts;
}

/** What it says of itself, or said last. */
function ownFacts({ status, ageMs, statusProblem }: MemberEntry): Fact[] {
  const facts: Fact[] = [];
  if (statusProblem !== null) facts.push(["own word", `none now: ${statusProblem}`]);
  if (status === null) return facts;
  const { state, problem, version, uptimeMs, raft, index, logBytes, ...own } = status as NodeStatus;
  const age = statusProblem === null ? "" : ` (${formatDuration(ageMs ?? 0)} ago)`;
  facts.push(
    ["state", `${state}${problem === null ? "" : `: ${problem}`}${age}`],
    ["version", version],
    ["running for", formatDuration(Math.round(uptimeMs / 1_000) * 1_000)],
  );
  if (raft !== null) {
    const { role, term, leaderId, lastIndex, commitIndex, appliedIndex } = raft;
    const counts = [lastIndex, commitIndex, appliedIndex].map(formatCount);
    facts.push(
      [
        "role",
        `${role} in term ${formatCount(term)}, takes ${leaderId ?? "nobody"} for the leader`,
      ],
      ["log indexes", `last ${counts[0]}, committed ${counts[1]}, applied ${counts[2]}`],
    );
  }
  const lastEqualIndex = own.stateCheck?.lastEqualIndex ?? 0;
  if (lastEqualIndex > 0) {
    facts.push(["state", `equal to the others' at log index ${formatCount(lastEqualIndex)}`]);
  }
  if (logBytes !== null) facts.push(["log", `${formatBytes(logBytes)} in ${own.logDirectory}`]);
  if (index !== null) {
    const size = formatBytes(index.databaseBytes);
    facts.push(["index", `${formatCount(index.blocks)} blocks, ${size} in ${own.dataDirectory}`]);
  }
  return facts;
}

function orUnknown(text: string): string {
  return text === "" ? "?" : text;
}
