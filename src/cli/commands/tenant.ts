/** Commands that delete tenants, and show what became of it. */
import type { CommandSpec } from "../command.ts";

export const TENANT_COMMANDS: readonly CommandSpec[] = [
  {
    path: ["tenant", "delete"],
    summary: "Hide a tenant at once, and delete all that is left of it; cannot be undone",
    operands: "<tenant>",
    operandCount: [1, 1],
    details:
      "With the answer no query shows anything of the tenant any more, and nothing of it is taken. Its entries leave the index, " +
      "its objects the bucket, and both are looked at again before the deletion is called verified. Repeating it is harmless.",
    flags: [
      {
        name: "confirm",
        value: "NAME",
        help: "Name of the tenant once more: says that you mean it",
      },
      { name: "yes", help: "Not enough here: this takes --confirm" },
      { name: "wait", help: "Until the deletion is verified, with progress" },
      {
        name: "wait-max",
        value: "DURATION",
        whenAbsent: "30m",
        help: "Longest wait; the deletion goes on after it",
      },
    ],
    usesNode: true,
    danger: "severe",
    schema: "hearth/tenant-delete/v1",
    examples: [
      { command: "hearth tenant delete acme --dry-run", comment: "what is there of it?" },
      { command: "hearth tenant delete acme --confirm=acme --wait", comment: "and see it done" },
    ],
    exitCodes: [0, 1, 2, 3, 5, 130],
    load: () => import("./run/tenant-delete.ts"),
  },
  {
    path: ["tenant", "deletions"],
    summary: "Deletions of tenants: how far they are, and reports of those that are over",
    operands: "[<tenant>]",
    operandCount: [0, 1],
    flags: [],
    usesNode: true,
    schema: "hearth/tenant-deletions/v1",
    examples: [
      { command: "hearth tenant deletions", comment: "all of them, newest first" },
      { command: "hearth tenant deletions acme --json", comment: "the report, for a file" },
    ],
    exitCodes: [0, 1, 2, 3],
    load: () => import("./run/tenant-deletions.ts"),
  },
  {
    path: ["tenant", "open"],
    summary: "Let the name of a deleted tenant be used again, before its time",
    operands: "<tenant>",
    operandCount: [1, 1],
    details:
      "Only once the deletion is verified. Until hearth.tenant-closed-period is over the name stays closed, so that what comes " +
      "late is not taken for new data; who opens it earlier should know that nothing is on its way any more.",
    flags: [],
    usesNode: true,
    danger: "moderate",
    schema: "hearth/tenant-open/v1",
    examples: [{ command: "hearth tenant open acme --yes", comment: "the customer came back" }],
    exitCodes: [0, 1, 2, 3, 5, 130],
    load: () => import("./run/tenant-open.ts"),
  },
];
