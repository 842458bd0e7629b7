/** Commands about what a leader does beside answering. */
import type { CommandSpec } from "../command.ts";

export const ACTIVITY_COMMANDS: readonly CommandSpec[] = [
  {
    path: ["activity", "list"],
    summary:
      "What the leader does beside answering: how the last runs ended, when the next ones are",
    operandCount: [0, 0],
    details:
      "Retention, dead letters, placement, and whether the bucket can be reached. Each member knows the runs since it started, so the " +
      "leader is the one to ask.",
    flags: [],
    usesNode: true,
    schema: "hearth/activities/v1",
    examples: [{ command: "hearth activity list", comment: "does everything run that should?" }],
    exitCodes: [0, 1, 2, 3],
    load: () => import("./run/activity-list.ts"),
  },
];
