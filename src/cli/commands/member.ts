/** Commands about members and leadership. */
import type { CommandSpec } from "../command.ts";

const CHANGE_SCHEMA = "hearth/change/v1";
const CHANGE_EXIT_CODES = [0, 1, 2, 3, 5, 130] as const;

export const MEMBER_COMMANDS: readonly CommandSpec[] = [
  {
    path: ["member", "list"],
    summary: "Members of the cluster, each with what is known of it and how old that is",
    operandCount: [0, 0],
    flags: [],
    usesNode: true,
    schema: "hearth/member-list/v1",
    examples: [
      { command: "hearth member list", comment: "as the node on this machine sees them" },
      {
        command: "hearth member list --endpoint http://10.0.3.5:4040 --json",
        comment: "as another node sees them, for a program",
      },
    ],
    exitCodes: [0, 1, 2, 3, 5],
    load: () => import("./run/member-list.ts"),
  },
  {
    path: ["member", "show"],
    summary: "Everything known of one member",
    operands: "<server id>",
    operandCount: [1, 1],
    flags: [],
    usesNode: true,
    schema: "hearth/member/v1",
    examples: [{ command: "hearth member show hearth-2", comment: "indexes, links, directories" }],
    exitCodes: [0, 1, 2, 3, 5],
    load: () => import("./run/member-show.ts"),
  },
  {
    path: ["member", "add"],
    summary: "Add a node as a learner: it is fed, and counts for nothing yet",
    operands: "[<server id>=]<host:port>",
    operandCount: [1, 1],
    details:
      "The address is the peer port of a node that runs, with empty directories. It is asked for its name; a name that is " +
      "given must be that one. Promote it when it has caught up.",
    flags: [],
    usesNode: true,
    danger: "mild",
    schema: CHANGE_SCHEMA,
    examples: [
      { command: "hearth member add hearth-3=10.0.3.8:9099", comment: "the node must be hearth-3" },
      { command: "hearth member add 10.0.3.8:9099 --dry-run", comment: "who answers there?" },
    ],
    exitCodes: CHANGE_EXIT_CODES,
    load: () => import("./run/member-add.ts"),
  },
  {
    path: ["member", "promote"],
    summary: "Make a learner a voter, as soon as it has caught up",
    operands: "<server id>",
    operandCount: [1, 1],
    details:
      "Waits as long as --timeout allows, and shows how far it is. A voter stays one: that is success.",
    flags: [],
    usesNode: true,
    timeout: "60s",
    danger: "mild",
    schema: CHANGE_SCHEMA,
    examples: [
      { command: "hearth member promote hearth-3", comment: "when it has caught up" },
      { command: "hearth member promote hearth-3 --timeout 5m", comment: "a long way behind" },
    ],
    exitCodes: CHANGE_EXIT_CODES,
    load: () => import("./run/member-promote.ts"),
  },
  {
    path: ["member", "demote"],
    summary: "Make a voter a learner: it is fed, and counts for nothing",
    operands: "<server id>",
    operandCount: [1, 1],
    flags: [],
    usesNode: true,
    danger: "moderate",
    schema: CHANGE_SCHEMA,
    examples: [{ command: "hearth member demote hearth-2 --dry-run", comment: "what follows?" }],
    exitCodes: CHANGE_EXIT_CODES,
    load: () => import("./run/member-demote.ts"),
  },
  {
    path: ["member", "remove"],
    summary: "Take a member out of the cluster for good",
    operands: "<server id>",
    operandCount: [1, 1],
    details:
      "Its data directory cannot come back under this id: an emptied node joins as a new one. When a node is to be " +
      "replaced, add the new one first.",
    flags: [],
    usesNode: true,
    danger: "moderate",
    schema: CHANGE_SCHEMA,
    examples: [
      { command: "hearth member remove hearth-2 --dry-run", comment: "what follows?" },
      { command: "hearth member remove hearth-2 --yes", comment: "in a script" },
    ],
    exitCodes: CHANGE_EXIT_CODES,
    load: () => import("./run/member-remove.ts"),
  },
  {
    path: ["leader", "show"],
    summary: "Who leads, and whom each member takes for the leader",
    operandCount: [0, 0],
    details: "Exits with 4 when nobody leads.",
    flags: [],
    usesNode: true,
    schema: "hearth/leader/v1",
    examples: [{ command: "hearth leader show", comment: "one line per member" }],
    exitCodes: [0, 1, 2, 3, 4, 5],
    load: () => import("./run/leader-show.ts"),
  },
  {
    path: ["leader", "transfer"],
    summary: "Hand the leadership to another voter",
    operands: "[<server id>]",
    operandCount: [0, 1],
    details:
      "Without a name: to the voter that has the most. Writes wait for the hand-over, well under a second.",
    flags: [],
    usesNode: true,
    danger: "mild",
    schema: CHANGE_SCHEMA,
    examples: [
      { command: "hearth leader transfer hearth-2", comment: "before work on the leader" },
      { command: "hearth leader transfer", comment: "to whoever is best" },
    ],
    exitCodes: CHANGE_EXIT_CODES,
    load: () => import("./run/leader-transfer.ts"),
  },
];
