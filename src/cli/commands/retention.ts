/** Commands about the age of data. */
import type { CommandSpec } from "../command.ts";

export const RETENTION_COMMANDS: readonly CommandSpec[] = [
  {
    path: ["retention", "show"],
    summary: "How long data is kept, and how the newest pass went",
    operandCount: [0, 0],
    flags: [],
    usesNode: true,
    schema: "hearth/retention/v1",
    examples: [{ command: "hearth retention show", comment: "periods, grace, last and next pass" }],
    exitCodes: [0, 1, 2, 3],
    load: () => import("./run/retention-show.ts"),
  },
  {
    path: ["retention", "forecast"],
    summary: "What the next pass takes, and what becomes due in the time ahead",
    operandCount: [0, 0],
    details:
      "By the state and the settings of the asked node; passes are the leader's. Nothing is removed. Bytes are those of " +
      "the blocks in the bucket.",
    flags: [
      {
        name: "ahead",
        value: "DURATION",
        whenAbsent: "24h",
        help: "How far to look ahead",
      },
      { name: "limit", value: "COUNT", whenAbsent: "100", help: "Most shards that are listed" },
    ],
    usesNode: true,
    schema: "hearth/retention-forecast/v1",
    examples: [
      { command: "hearth retention forecast", comment: "the next pass, and the next day" },
      { command: "hearth retention forecast --ahead 30d", comment: "the next month" },
    ],
    exitCodes: [0, 1, 2, 3],
    load: () => import("./run/retention-forecast.ts"),
  },
  {
    path: ["retention", "run"],
    summary: "A retention pass now, on the leader",
    operandCount: [0, 0],
    details: "As the passes that the leader does by itself. --dry-run shows what it would take.",
    flags: [],
    usesNode: true,
    danger: "moderate",
    schema: "hearth/activity-run/v1",
    examples: [
      { command: "hearth retention run --dry-run", comment: "what would go?" },
      { command: "hearth retention run --yes", comment: "in a script" },
    ],
    exitCodes: [0, 1, 2, 3, 5, 130],
    load: () => import("./run/retention-run.ts"),
  },
];
