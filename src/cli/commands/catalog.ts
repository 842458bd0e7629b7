/** All commands, as data. The order is the order of help and of the reference page. */
import type { CommandSpec } from "../command.ts";
import type { HelpSection } from "../help.ts";
import { ACTIVITY_COMMANDS } from "./activity.ts";
import { BLOCK_COMMANDS } from "./block.ts";
import { COMPACTION_COMMANDS } from "./compaction.ts";
import { INDEX_COMMANDS } from "./index-data.ts";
import { MEMBER_COMMANDS } from "./member.ts";
import { NODE_COMMANDS } from "./node.ts";
import { PLACEMENT_COMMANDS } from "./placement.ts";
import { QUERY_COMMANDS } from "./query.ts";
import { RECOVER_COMMANDS } from "./recover.ts";
import { DLQ_COMMANDS } from "./dlq.ts";
import { RETENTION_COMMANDS } from "./retention.ts";
import { SNAPSHOT_COMMANDS } from "./snapshot.ts";
import { TENANT_COMMANDS } from "./tenant.ts";
import { TOOL_COMMANDS } from "./tool.ts";

export const COMMANDS: readonly CommandSpec[] = [
  ...NODE_COMMANDS,
  ...MEMBER_COMMANDS,
  ...ACTIVITY_COMMANDS,
  ...SNAPSHOT_COMMANDS,
  ...RECOVER_COMMANDS,
  ...BLOCK_COMMANDS,
  ...QUERY_COMMANDS,
  ...TENANT_COMMANDS,
  ...INDEX_COMMANDS,
  ...RETENTION_COMMANDS,
  ...PLACEMENT_COMMANDS,
  ...COMPACTION_COMMANDS,
  ...DLQ_COMMANDS,
  ...TOOL_COMMANDS,
];

export const HELP_SECTIONS: readonly HelpSection[] = [
  { title: "node", groups: ["server", "dev", "status", "health"] },
  { title: "cluster", groups: ["member", "leader", "activity", "snapshot", "recover"] },
  {
    title: "data",
    groups: ["block", "query", "tenant", "index", "retention", "dlq", "placement"],
  },
  { title: "compaction", groups: ["job", "compaction"] },
  {
    title: "configuration and tools",
    groups: ["config", "bench", "data", "completion", "version", "help"],
  },
];
