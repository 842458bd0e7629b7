/** `hearth leader show`: who leads, and whom each member takes for the leader. */
import type { NodeStatus } from "../../../admin/index.ts";
import { askCluster, type ClusterAnswers } from "../../cluster/answers.ts";
import { buildScreen } from "../../cluster/screen.ts";
import { leaderLine, voterSentence } from "../../cluster/screen-text.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { type Column, formatTable } from "../../table.ts";

interface View {
  readonly member: string;
  /** Null: it knows of none, or gave no answer. */
  readonly leader: string | null;
  readonly term: number | null;
  /** Why there is no view. */
  readonly problem: string | null;
}

const COLUMNS: readonly Column[] = [
  { title: "MEMBER", align: "left" },
  { title: "SEES LEADER", align: "left" },
  { title: "TERM", align: "right" },
];

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal, spec } = context;
  const answers = await askCluster(context);
  const screen = buildScreen(answers);
  const views = viewsOf(answers);
  if (globals.isJson) {
    const { asOf, endpoint, askedNode, clusterId, leader, term } = screen;
    const fields = { asOf, endpoint, askedNode, clusterId, leader, term, views };
    terminal.out(JSON.stringify({ schema: spec.schema, ...fields }));
  } else {
    terminal.out(`${leaderLine(screen)}, ${voterSentence(screen)}`);
    const rows = views.map(({ member, leader, term, problem }) => [
      member,
      leader ?? (problem === null ? "nobody" : `? (${problem})`),
      term ?? undefined,
    ]);
    for (const line of formatTable(COLUMNS, rows)) terminal.out(line);
  }
  return screen.leader === null ? EXIT.bad : EXIT.done;
}

function viewsOf({ asked, members }: ClusterAnswers): View[] {
  if (members === null) return [viewOf(asked)];
  return members.members.map(({ id, isSelf, status, statusProblem }) => {
    if (isSelf) return viewOf(asked);
    if (statusProblem === null && status !== null) return viewOf(status as NodeStatus);
    return { member: id, leader: null, term: null, problem: statusProblem ?? "not asked" };
  });
}

function viewOf({ nodeId, raft, problem }: NodeStatus): View {
  if (raft === null) return { member: nodeId, leader: null, term: null, problem };
  return { member: nodeId, leader: raft.leaderId, term: raft.term, problem: null };
}
