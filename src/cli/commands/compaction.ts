/** Commands about compaction: its jobs, what waits, its policy. */
import type { CommandSpec, FlagSpec } from "../command.ts";

const CONTROL_SCHEMA = "hearth/job-control/v1";
const CHANGE_SCHEMA = "hearth/compaction-policy-change/v1";
const CHANGE_EXIT_CODES = [0, 1, 2, 3, 5, 130] as const;
const READ_EXIT_CODES = [0, 1, 2, 3, 5] as const;

const LEVEL: FlagSpec = { name: "level", value: "LEVEL", help: "Only of this level" };
const TENANT: FlagSpec = {
  name: "tenant",
  value: "NAME",
  help: 'Only of this tenant; "" is segments of many tenants',
};
const STATUS: FlagSpec = {
  name: "status",
  value: "STATUS",
  help: "Only unassigned, assigned, reassigned, exhausted or quarantined ones",
};

/** How jobs are named to the commands that change them. */
const CONTROL_FLAGS: readonly FlagSpec[] = [
  { ...STATUS, help: `Without names: every job of this status, 1,000 at most. ${STATUS.help}` },
  LEVEL,
  TENANT,
  {
    name: "reason",
    value: "TEXT",
    whenAbsent: "what a worker said stays",
    help: "Kept with the jobs",
  },
];

export const COMPACTION_COMMANDS: readonly CommandSpec[] = [
  {
    path: ["job", "list"],
    summary: "Compaction jobs: who has them, since when, how often they failed",
    operandCount: [0, 0],
    flags: [
      LEVEL,
      TENANT,
      STATUS,
      { name: "limit", value: "COUNT", whenAbsent: "100", help: "Jobs at most, 1,000 at a time" },
      { name: "after", value: "NAME", help: "Go on behind this job" },
    ],
    usesNode: true,
    schema: "hearth/job-list/v1",
    examples: [
      { command: "hearth job list --status exhausted", comment: "jobs that nobody gets any more" },
      { command: "hearth job list --level 0 --json", comment: "for a program" },
    ],
    exitCodes: READ_EXIT_CODES,
    load: () => import("./run/job-list.ts"),
  },
  {
    path: ["job", "show"],
    summary: "Everything known of one compaction job, with its source blocks",
    operands: "<job>",
    operandCount: [1, 1],
    flags: [],
    usesNode: true,
    schema: "hearth/job/v1",
    examples: [
      { command: "hearth job show ffba6b12acb007e6-T-S3-L0", comment: "a job over segments" },
    ],
    exitCodes: READ_EXIT_CODES,
    load: () => import("./run/job-show.ts"),
  },
  {
    path: ["job", "retry"],
    summary: "Hand jobs out anew, their failures forgotten",
    operands: "<job>...",
    operandCount: [0, 1_000],
    details:
      "A job that is in work is taken from its worker, whose result is then refused. For jobs that failed for a reason " +
      "that is gone.",
    flags: CONTROL_FLAGS,
    usesNode: true,
    danger: "mild",
    schema: CONTROL_SCHEMA,
    examples: [
      {
        command: "hearth job retry --status exhausted --dry-run",
        comment: "which would it be?",
      },
      { command: "hearth job retry ffba6b12acb007e6-T-S3-L0", comment: "one of them" },
    ],
    exitCodes: CHANGE_EXIT_CODES,
    load: () => import("./run/job-control.ts"),
  },
  {
    path: ["job", "quarantine"],
    summary: "Keep jobs, and hand them to nobody, until they are retried or cancelled",
    operands: "<job>...",
    operandCount: [0, 1_000],
    details:
      "Its blocks stay in the index and are queried as they are. A worker that has it loses it.",
    flags: CONTROL_FLAGS,
    usesNode: true,
    danger: "mild",
    schema: CONTROL_SCHEMA,
    examples: [
      {
        command: "hearth job quarantine ffba6b12acb007e6-T-S3-L0 --reason 'crashes workers'",
        comment: "a job that ends whoever takes it",
      },
    ],
    exitCodes: CHANGE_EXIT_CODES,
    load: () => import("./run/job-control.ts"),
  },
  {
    path: ["job", "cancel"],
    summary: "End jobs without a result; their blocks are queued again later",
    operands: "<job>...",
    operandCount: [0, 1_000],
    details:
      "The blocks wait for the requeue-delay of the policy and then become part of another job. Nothing is lost; work that " +
      "was done for the job is.",
    flags: CONTROL_FLAGS,
    usesNode: true,
    danger: "moderate",
    schema: CONTROL_SCHEMA,
    examples: [
      {
        command: "hearth job cancel ffba6b12acb007e6-T-S3-L0 --dry-run",
        comment: "what would be given up",
      },
    ],
    exitCodes: CHANGE_EXIT_CODES,
    load: () => import("./run/job-control.ts"),
  },
  {
    path: ["compaction", "status"],
    summary: "Compaction on one screen: levels, what waits and since when, jobs, workers, pauses",
    operandCount: [0, 0],
    flags: [],
    usesNode: true,
    schema: "hearth/compaction/v1",
    examples: [{ command: "hearth compaction status", comment: "is it keeping up?" }],
    exitCodes: READ_EXIT_CODES,
    load: () => import("./run/compaction-status.ts"),
  },
  {
    path: ["compaction", "queue"],
    summary: "What waits for compaction, by tenant, shard and level, the longest waiting first",
    operandCount: [0, 0],
    flags: [
      LEVEL,
      TENANT,
      { name: "by-tenant", help: "Sum over the shards of a tenant" },
      { name: "limit", value: "COUNT", whenAbsent: "100", help: "Queues at most, 1,000" },
    ],
    usesNode: true,
    schema: "hearth/compaction-queues/v1",
    examples: [
      { command: "hearth compaction queue --by-tenant", comment: "who has the largest backlog?" },
      { command: "hearth compaction queue --level 0 --limit 10", comment: "the oldest segments" },
    ],
    exitCodes: READ_EXIT_CODES,
    load: () => import("./run/compaction-queue.ts"),
  },
  {
    path: ["compaction", "dry-run"],
    summary: "What the planner would do if a worker asked now; nothing is changed",
    operandCount: [0, 0],
    flags: [
      {
        name: "capacity",
        value: "COUNT",
        whenAbsent: "32",
        help: "Jobs that the worker would take, 256 at most",
      },
    ],
    usesNode: true,
    schema: "hearth/compaction-plan/v1",
    examples: [
      { command: "hearth compaction dry-run", comment: "why does nothing happen?" },
      { command: "hearth compaction dry-run --capacity 256", comment: "more of it" },
    ],
    exitCodes: READ_EXIT_CODES,
    load: () => import("./run/compaction-dry-run.ts"),
  },
  {
    path: ["compaction", "pause"],
    summary: "Make no jobs, and hand none out, for levels or tenants",
    operandCount: [0, 0],
    details:
      "What is in work goes on. Blocks go on to be queued, so the backlog grows until you resume.",
    flags: [
      { ...LEVEL, isRepeatable: true, help: "Pause this level" },
      { ...TENANT, isRepeatable: true, help: "Pause this tenant" },
    ],
    usesNode: true,
    danger: "mild",
    schema: CHANGE_SCHEMA,
    examples: [
      { command: "hearth compaction pause --level 2", comment: "while the object store is slow" },
      { command: "hearth compaction pause --tenant acme", comment: "one tenant" },
    ],
    exitCodes: CHANGE_EXIT_CODES,
    load: () => import("./run/compaction-pause.ts"),
  },
  {
    path: ["compaction", "resume"],
    summary: "Go on with levels or tenants that were paused",
    operandCount: [0, 0],
    flags: [
      { ...LEVEL, isRepeatable: true, help: "Resume this level" },
      { ...TENANT, isRepeatable: true, help: "Resume this tenant" },
      { name: "all", help: "Resume everything" },
    ],
    usesNode: true,
    danger: "mild",
    schema: CHANGE_SCHEMA,
    examples: [{ command: "hearth compaction resume --all", comment: "everything" }],
    exitCodes: CHANGE_EXIT_CODES,
    load: () => import("./run/compaction-pause.ts"),
  },
  {
    path: ["compaction", "policy"],
    summary: "Show or change the policy that all members follow",
    operands: "show | set <setting>=<value>... | unset <setting>...",
    operandCount: [0, 100],
    details:
      "Settings are those that show prints: level.0.max-blocks, level.0.max-age, lease, failures-max, jobs-max and so on. With " +
      "--tenant the levels and jobs-max of that tenant alone; unset goes back to the general value, or for a general one to the flags of " +
      "the node that is asked. A change is one log entry: members agree from that log index on.",
    flags: [{ ...TENANT, help: "Settings of this tenant" }],
    usesNode: true,
    danger: "mild",
    schema: CHANGE_SCHEMA,
    examples: [
      { command: "hearth compaction policy show", comment: "what is in force" },
      {
        command: "hearth compaction policy set lease=30s failures-max=5 --dry-run",
        comment: "is that allowed, and what would it be?",
      },
      {
        command: "hearth compaction policy set level.0.max-age=20s --tenant acme",
        comment: "for one tenant",
      },
      { command: "hearth compaction policy unset lease", comment: "back to the initial value" },
    ],
    exitCodes: CHANGE_EXIT_CODES,
    load: () => import("./run/compaction-policy.ts"),
  },
];
