/** `hearth member list`: the members as the asked node sees them, also without a quorum. */
import { askCluster, knownMembers } from "../../cluster/answers.ts";
import { buildScreen } from "../../cluster/screen.ts";
import { appliedCell, contactCell, lagCell } from "../../cluster/screen-text.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { type Column, formatTable } from "../../table.ts";

const COLUMNS: readonly Column[] = [
  { title: "MEMBER", align: "left" },
  { title: "SUFFRAGE", align: "left" },
  { title: "ROLE", align: "left" },
  { title: "STATE", align: "left" },
  { title: "PEER ADDRESS", align: "left" },
  { title: "APPLIED", align: "right" },
  { title: "LAG", align: "right" },
  { title: "CONTACT", align: "right" },
];

export async function run(context: CommandContext): Promise<ExitCode> {
  const { globals, terminal, spec } = context;
  const answers = await askCluster(context);
  const { members } = knownMembers(answers);
  const screen = buildScreen(answers);
  if (globals.isJson) {
    const { clusterId, askedNode, asOf, endpoint } = screen;
    const listed = screen.members.map((row, i) => ({
      ...row,
      peerAddress: members[i]?.addresses.peer ?? null,
    }));
    const fields = { clusterId, askedNode, asOf, endpoint, members: listed };
    terminal.out(JSON.stringify({ schema: spec.schema, ...fields }));
    return EXIT.done;
  }
  const rows = screen.members.map((row, i) => [
    row.id,
    row.suffrage ?? undefined,
    row.role ?? undefined,
    row.state,
    members[i]?.addresses.peer,
    appliedCell(row),
    lagCell(row),
    contactCell(row),
  ]);
  for (const line of formatTable(COLUMNS, rows)) terminal.out(line);
  if (screen.members.some(({ isUp }) => !isUp)) terminal.out("* last known");
  return EXIT.done;
}
