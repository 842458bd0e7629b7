/** Commands about blocks. */
import type { CommandSpec } from "../command.ts";

export const BLOCK_COMMANDS: readonly CommandSpec[] = [
  {
    path: ["block", "add"],
    summary: "Add the metadata of blocks from files",
    operands: "<file or directory> ...",
    operandCount: [1, 100_000],
    details:
      "Reads *.meta.pb (bare protobuf), *.block.bin (whole objects; the metadata copy at the end, its checksum verified) " +
      "and *.json (proto3 JSON: one block, a list, or {blocks: [...]}). Directories are searched with all their " +
      "subdirectories. Adding a block twice is harmless: the first one stays.",
    flags: [{ name: "dry-run", help: "Read and check the files, add nothing" }],
    usesNode: true,
    schema: "hearth/block-add/v1",
    examples: [
      { command: "hearth block add examples/blocks", comment: "everything in a directory" },
      {
        command: "hearth block add one.meta.pb two.json --dry-run",
        comment: "only look whether they can be read",
      },
    ],
    exitCodes: [0, 1, 2, 3],
    load: () => import("./run/block-add.ts"),
  },
  {
    path: ["block", "get"],
    summary: "Show blocks by their ids",
    operands: "<id> ...",
    operandCount: [1, 10_000],
    details:
      "A block is found by its owner, its shard and its id. Exits with 4 when one of the ids is not there.",
    flags: [
      {
        name: "tenant",
        value: "TENANT",
        whenAbsent: "the anonymous owner",
        help: "Owner of the blocks",
      },
      { name: "shard", value: "NUMBER", whenAbsent: "0", help: "Shard of the blocks" },
    ],
    usesNode: true,
    schema: "hearth/block-list/v1",
    examples: [
      {
        command: "hearth block get 01JKT2S01VXGG0YS6TG8QC2JWD --tenant anonymous --shard 1 --json",
        comment: "one block with everything in it",
      },
    ],
    exitCodes: [0, 1, 2, 3, 4],
    load: () => import("./run/block-get.ts"),
  },
];
