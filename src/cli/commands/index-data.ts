/** Commands about the index and the bucket that it describes. */
import type { CommandSpec } from "../command.ts";
import { BUCKET_FLAGS } from "../reconcile/bucket-flags.ts";

export const INDEX_COMMANDS: readonly CommandSpec[] = [
  {
    path: ["index", "verify"],
    summary: "Compare the index with the objects in the bucket, and say where they differ",
    operandCount: [0, 0],
    details:
      "Reads only. Says which blocks of the index have no object (missing), which objects the index does not know (orphan), " +
      "and where both are there and differ (mismatched); also objects whose metadata cannot be read (unreadable) or is of " +
      "another block (misplaced), and keys that are no block's (stray). Works while the database is in use. Compares with the index " +
      "of the node that is asked. Exits with 4 when there are findings.",
    flags: [
      ...BUCKET_FLAGS,
      {
        name: "websocket",
        value: "HOST:PORT",
        whenAbsent: "what the node says",
        help: "Where the node takes the binary protocol",
      },
      { name: "no-footers", help: "Compare names and sizes alone, without opening objects" },
      {
        name: "recent",
        value: "DURATION",
        whenAbsent: "1m",
        help: "Objects younger than this need not be in the index yet",
      },
      {
        name: "limit",
        value: "NUMBER",
        whenAbsent: "10000",
        help: "Most findings that are named; all are counted",
      },
    ],
    usesNode: true,
    schema: "hearth/index-verify/v1",
    examples: [
      {
        command: "hearth index verify --config /etc/hearth/config.yaml",
        comment: "with the bucket of a node's configuration",
      },
      {
        command: "hearth index verify --bucket /data/shared --no-footers --json",
        comment: "quickly, for a program",
      },
    ],
    exitCodes: [0, 1, 2, 3, 4, 130],
    load: () => import("./run/index-verify.ts"),
  },
  {
    path: ["index", "rebuild"],
    summary: "Fill the index from the metadata in the objects of the bucket",
    operandCount: [0, 0],
    details:
      "For a cluster that lost its index: start it empty, then run this. Blocks are added as writers add them, through the log, so " +
      "that every member gets them; what is there already stays as it is, and the command can be repeated. Objects that cannot be " +
      "read are named and left out (exit code 4). Let no compaction worker run meanwhile: objects that were compacted and wait to be " +
      "deleted count again until they are.",
    flags: [
      ...BUCKET_FLAGS,
      {
        name: "websocket",
        value: "HOST:PORT",
        whenAbsent: "what the node says",
        help: "Where the node takes the binary protocol",
      },
    ],
    usesNode: true,
    timeout: "30s",
    danger: "mild",
    schema: "hearth/index-rebuild/v1",
    examples: [
      {
        command: "hearth index rebuild --bucket /data/shared --dry-run",
        comment: "read everything, add nothing",
      },
      { command: "hearth index rebuild --config /etc/hearth/config.yaml", comment: "do it" },
    ],
    exitCodes: [0, 1, 2, 3, 4, 130],
    load: () => import("./run/index-rebuild.ts"),
  },
];
