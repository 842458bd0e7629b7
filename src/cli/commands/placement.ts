/** Commands about the placement of datasets on shards. */
import type { CommandSpec, FlagSpec } from "../command.ts";

const FILTERS: readonly FlagSpec[] = [
  {
    name: "tenant",
    value: "TENANT",
    whenAbsent: "all tenants",
    help: "Only datasets of this tenant",
  },
  {
    name: "dataset",
    value: "NAME",
    whenAbsent: "all datasets",
    help: "Only datasets of this name",
  },
  { name: "limit", value: "NUMBER", whenAbsent: "100", help: "Most rows, the busiest first" },
];

const CHANGE_SCHEMA = "hearth/placement-change/v1";

export const PLACEMENT_COMMANDS: readonly CommandSpec[] = [
  {
    path: ["placement", "show"],
    summary: "Over how many shards each dataset is spread, what it writes, and what is pinned",
    operandCount: [0, 0],
    details:
      "Any node answers, from what lies in the bucket: what distributors go by. A dataset is what one tenant's service writes.",
    flags: FILTERS,
    usesNode: true,
    schema: "hearth/placement/v1",
    examples: [
      { command: "hearth placement show", comment: "the busiest datasets" },
      {
        command: "hearth placement show --tenant acme --dataset checkout",
        comment: "one dataset, shard by shard",
      },
    ],
    exitCodes: [0, 1, 2, 3],
    load: () => import("./run/placement-show.ts"),
  },
  {
    path: ["placement", "preview"],
    summary: "What the next cycle would change, and how much of the load would move",
    operandCount: [0, 0],
    details: "The leader is asked, whichever node is named. Nothing changes.",
    flags: FILTERS,
    usesNode: true,
    schema: "hearth/placement-preview/v1",
    examples: [{ command: "hearth placement preview", comment: "before limits are changed" }],
    exitCodes: [0, 1, 2, 3],
    load: () => import("./run/placement-preview.ts"),
  },
  {
    path: ["placement", "pin"],
    summary: "Give a dataset a fixed number of shards, whatever its load says",
    operands: "<tenant> <dataset>",
    operandCount: [2, 2],
    details:
      "Holds until it is unpinned, also under other leaders: pins lie in the bucket beside the rules. The rules are published " +
      "at once; distributors take them up within 15 seconds. The limit of the tenant still holds.",
    flags: [
      { name: "shards", value: "NUMBER", help: "Shards of the dataset, at least 1" },
      {
        name: "load-balancing",
        value: "KIND",
        whenAbsent: "by the load",
        help: "How keys go to shards: fingerprint keeps series together, round-robin spreads evenly",
      },
    ],
    usesNode: true,
    danger: "mild",
    schema: CHANGE_SCHEMA,
    examples: [
      {
        command: "hearth placement pin acme checkout --shards 8 --dry-run",
        comment: "how much would move?",
      },
      { command: "hearth placement pin acme checkout --shards 8", comment: "do it" },
    ],
    exitCodes: [0, 1, 2, 3, 5, 130],
    load: () => import("./run/placement-pin.ts"),
  },
  {
    path: ["placement", "unpin"],
    summary: "Let the load of a dataset decide again",
    operands: "<tenant> <dataset>",
    operandCount: [2, 2],
    details: "Unpinning what is not pinned is success.",
    flags: [],
    usesNode: true,
    danger: "mild",
    schema: CHANGE_SCHEMA,
    examples: [{ command: "hearth placement unpin acme checkout", comment: "back to the load" }],
    exitCodes: [0, 1, 2, 3, 5, 130],
    load: () => import("./run/placement-pin.ts"),
  },
];
