/** Settings of the object store that all components share: names and defaults of the reference, then ours. */
import { STORAGE_DEFAULTS } from "../storage/options.ts";
import type { Setting } from "./types.ts";

export const STORAGE_SETTINGS = [
  {
    name: "storage.backend",
    kind: "choice",
    choices: ["filesystem"],
    default: STORAGE_DEFAULTS.backend,
    help: "Where objects are: the same for all components of the database",
  },
  {
    name: "storage.prefix",
    kind: "text",
    default: STORAGE_DEFAULTS.prefix,
    help: "Put before every key, with a slash between; the same for all components",
  },
  {
    name: "storage.filesystem.dir",
    kind: "text",
    default: STORAGE_DEFAULTS.directory,
    help: "Directory of the filesystem backend, shared by all components; created by the first write",
  },
  {
    name: "hearth.storage-timeout",
    kind: "duration",
    default: STORAGE_DEFAULTS.timeoutMs,
    min: 100,
    max: 600_000,
    help: "Longest single operation on the object store, or page of a list",
  },
] as const satisfies readonly Setting[];
