/** Where a command's bucket is. Apart from what opens it: every start of the program reads all flags. */
import type { FlagSpec } from "../command.ts";

export const BUCKET_FLAGS: readonly FlagSpec[] = [
  {
    name: "config",
    value: "FILE",
    whenAbsent: "HEARTH_STORAGE_* and defaults",
    help: "Configuration of a node: its storage settings say where the bucket is",
  },
  {
    name: "bucket",
    value: "DIRECTORY",
    whenAbsent: "storage.filesystem.dir",
    help: "Directory of a bucket on this machine",
  },
];
