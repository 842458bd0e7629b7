/** Commands that ask the index. */
import type { CommandSpec, FlagSpec } from "../command.ts";

const RANGE_FLAGS: readonly FlagSpec[] = [
  {
    name: "tenant",
    value: "TENANT",
    isRepeatable: true,
    help: "Tenant whose data is wanted; at least one",
  },
  { name: "from", value: "TIME", whenAbsent: "now-1h", help: "Start of the data, inclusive" },
  { name: "to", value: "TIME", whenAbsent: "now", help: "End of the data, inclusive" },
];

const TIME_WORDS =
  "A TIME is RFC 3339 (2026-11-22T10:24:55Z), Unix milliseconds, or relative to now (now-1h, now-2d).";

export const QUERY_COMMANDS: readonly CommandSpec[] = [
  {
    path: ["query", "blocks"],
    summary: "Blocks that may hold the data of a selector",
    operands: "'<selector>'",
    operandCount: [1, 1],
    details: `The selector is a PromQL vector selector; {} takes everything. ${TIME_WORDS}`,
    flags: [
      ...RANGE_FLAGS,
      {
        name: "labels",
        value: "NAME,...",
        isRepeatable: true,
        help: "Label names to show per dataset",
      },
    ],
    usesNode: true,
    schema: "hearth/block-list/v1",
    examples: [
      {
        command: `hearth query blocks '{service_name="pyroscope"}' --tenant anonymous --from 2025-02-01 --to 2025-03-01`,
        comment: "a month of one service",
      },
      {
        command:
          "hearth query blocks '{}' --tenant acme --from now-6h --labels service_name --json",
        comment: "everything of six hours, for a program",
      },
    ],
    exitCodes: [0, 1, 2, 3],
    load: () => import("./run/query-blocks.ts"),
  },
  {
    path: ["query", "labels"],
    summary: "Distinct values of labels",
    operands: "'<selector>'",
    operandCount: [1, 1],
    details: TIME_WORDS,
    flags: [
      ...RANGE_FLAGS,
      {
        name: "labels",
        value: "NAME,...",
        isRepeatable: true,
        help: "Label names to list; at least one",
      },
    ],
    usesNode: true,
    schema: "hearth/label-list/v1",
    examples: [
      {
        command: "hearth query labels '{}' --tenant acme --labels service_name,__profile_type__",
        comment: "services with their profile types in the last hour",
      },
    ],
    exitCodes: [0, 1, 2, 3],
    load: () => import("./run/query-labels.ts"),
  },
  {
    path: ["tenant", "list"],
    summary: "Tenants that own blocks",
    operandCount: [0, 0],
    flags: [],
    usesNode: true,
    schema: "hearth/tenant-list/v1",
    examples: [{ command: "hearth tenant list", comment: "one name per line" }],
    exitCodes: [0, 1, 2, 3],
    load: () => import("./run/tenant-list.ts"),
  },
  {
    path: ["tenant", "show"],
    summary: "Oldest and newest data of a tenant",
    operands: "<tenant>",
    operandCount: [1, 1],
    flags: [],
    usesNode: true,
    schema: "hearth/tenant/v1",
    examples: [{ command: "hearth tenant show acme", comment: "when its data begins and ends" }],
    exitCodes: [0, 1, 2, 3],
    load: () => import("./run/tenant-show.ts"),
  },
];
