/** What is left when a cluster cannot help itself: offline, on the directories of one stopped node. */
import type { CommandSpec } from "../command.ts";

export const RECOVER_COMMANDS: readonly CommandSpec[] = [
  {
    path: ["recover", "single-voter"],
    summary:
      "After the loss of a majority for good: make this stopped node the only voter of a new cluster",
    operandCount: [0, 0],
    details:
      "Keeps every entry of this node's log and gives up what only the lost nodes had. The new cluster has an id of its own, " +
      "so that no old member can ever mix in. Read docs/operate/recovery.md first, and try --dry-run on every node that is " +
      "left: the one with the highest term, then the highest log index, has the most.",
    flags: [
      {
        name: "dir",
        value: "DIRECTORY",
        whenAbsent: "metastore.raft.dir of this shell's settings",
        help: "Value of metastore.raft.dir of the stopped node",
      },
      {
        name: "snapshots-dir",
        value: "DIRECTORY",
        whenAbsent: "metastore.raft.snapshots-dir of this shell's settings",
        help: "Directory of its snapshots; they name the members when the log does not reach back",
      },
      {
        name: "confirm",
        value: "NAME",
        help: "Server id of the node: says that you mean it, and this directory",
      },
    ],
    danger: "severe",
    schema: "hearth/recovery/v1",
    examples: [
      {
        command: "hearth recover single-voter --dir /data/raft --dry-run",
        comment: "what would be kept and lost, on every node that is left",
      },
      {
        command: "hearth recover single-voter --dir /data/raft --confirm=hearth-0",
        comment: "on the one that has the most",
      },
    ],
    exitCodes: [0, 1, 2, 5],
    load: () => import("./run/recover-single-voter.ts"),
  },
];
