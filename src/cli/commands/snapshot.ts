/** Commands about the snapshots of one node. */
import type { CommandSpec } from "../command.ts";

export const SNAPSHOT_COMMANDS: readonly CommandSpec[] = [
  {
    path: ["snapshot", "list"],
    summary: "Snapshots that the asked node keeps",
    operandCount: [0, 0],
    details: "Each node takes and keeps its own; the newest is the first.",
    flags: [],
    usesNode: true,
    schema: "hearth/snapshot-list/v1",
    examples: [{ command: "hearth snapshot list", comment: "of the node on this machine" }],
    exitCodes: [0, 1, 2, 3],
    load: () => import("./run/snapshot-list.ts"),
  },
  {
    path: ["snapshot", "take"],
    summary: "Take a snapshot on the asked node now, and read it back",
    operandCount: [0, 0],
    details: "The log is cut behind it afterwards, as after every snapshot.",
    flags: [],
    usesNode: true,
    timeout: "5m",
    danger: "mild",
    schema: "hearth/snapshot-taken/v1",
    examples: [{ command: "hearth snapshot take", comment: "before an upgrade" }],
    exitCodes: [0, 1, 2, 3, 130],
    load: () => import("./run/snapshot-take.ts"),
  },
];
