/**
 * The protobuf types of schemas/metastore.proto, loaded when first asked for: the client library
 * and the reader threads never speak protobuf and should not pay for its library.
 */

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { HearthError } from "../../base/index.ts";

const SCHEMA = join("schemas", "metastore.proto");

/** The part of a protobufjs type that we use. */
export interface ProtoType {
  encode(message: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
}

let blockMetaType: ProtoType | null = null;

/**
 * metastore.v1.BlockMeta. Cost: parses the schema at the first call (about 10 ms with the library).
 */
export function blockMetaProtoType(): ProtoType {
  if (blockMetaType === null) {
    const protobuf = createRequire(import.meta.url)("protobufjs") as typeof import("protobufjs");
    const { root } = protobuf.parse(readFileSync(findSchema(), "utf8"));
    blockMetaType = root.lookupType("metastore.v1.BlockMeta") as unknown as ProtoType;
  }
  return blockMetaType;
}

/** The schema lies at the top of the package, however deep the compiled file lies below it. */
function findSchema(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const path = join(directory, SCHEMA);
    if (existsSync(path)) return path;
    const parent = dirname(directory);
    if (parent === directory) break;
    directory = parent;
  }
  throw new HearthError("internal", `Cannot find ${SCHEMA} above ${import.meta.url}`, {
    next: "Install the package again: a file of it is missing",
  });
}
