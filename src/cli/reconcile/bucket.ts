/** The bucket of a command: where the settings say, or where `--bucket` does. */
import { HearthError } from "../../base/index.ts";
import { formatProblems, loadConfig } from "../../config/index.ts";
import { type ObjectStore, openObjectStore } from "../../storage/index.ts";
import { type CommandContext, UsageError } from "../command.ts";

/** Errors: UsageError for settings that cannot be used; what opening the store says. */
export function openBucket({ flags, environment }: CommandContext): Promise<ObjectStore> {
  const argv: string[] = [];
  const file = flags.text("config");
  const directory = flags.text("bucket");
  if (file !== null) argv.push(`-config.file=${file}`);
  if (directory !== null)
    argv.push("-storage.backend=filesystem", `-storage.filesystem.dir=${directory}`);
  const loaded = loadConfig({ argv, environment, checkMachine: false });
  if (loaded.config !== null) return openObjectStore(loaded.config.objects, { isBlocking: true });
  throw new UsageError(formatProblems(loaded).join("\n"), "hearth config check");
}

/** Errors: `bucket_missing` when nothing at all lies there: more likely a wrong place than an empty database. */
export async function assertNotEmpty(store: ObjectStore, signal: AbortSignal): Promise<void> {
  for await (const _ of store.list({ prefix: "", pageMaxCount: 1, signal })) return;
  throw new HearthError("not_found", `There are no objects in ${store.name}`, {
    reason: "bucket_missing",
    next: "Name the bucket with --config or --bucket",
  });
}
