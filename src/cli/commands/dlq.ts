/** Commands about the dead letter queue. */
import type { CommandSpec } from "../command.ts";

export const DLQ_COMMANDS: readonly CommandSpec[] = [
  {
    path: ["dlq", "show"],
    summary: "How many dead letters there are, how old, and what became of others",
    operandCount: [0, 0],
    details: "As the newest sweep left them; the leader sweeps, so it is the one to ask.",
    flags: [],
    usesNode: true,
    schema: "hearth/dlq/v1",
    examples: [{ command: "hearth dlq show", comment: "after an outage: is it empty again?" }],
    exitCodes: [0, 1, 2, 3],
    load: () => import("./run/dlq-show.ts"),
  },
  {
    path: ["dlq", "sweep"],
    summary: "Sweep the dead letters now, on the leader",
    operandCount: [0, 0],
    details: "As the leader does by itself every metastore.index.dlq-recovery-check-interval.",
    flags: [],
    usesNode: true,
    timeout: "5m",
    schema: "hearth/activity-run/v1",
    examples: [{ command: "hearth dlq sweep", comment: "not waiting for the next turn" }],
    exitCodes: [0, 1, 2, 3],
    load: () => import("./run/dlq-sweep.ts"),
  },
];
