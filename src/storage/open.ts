/** The configured object store. Only the code of the configured kind is loaded. */
import { SYSTEM_CLOCK, SYSTEM_SCHEDULER } from "../base/index.ts";
import { GuardedStore, type StorageOutcome } from "./guarded-store.ts";
import type { StorageOptions } from "./options.ts";
import type { ObjectStore } from "./types.ts";

export interface StorageModules {
  readonly onOutcome?: ((outcome: StorageOutcome) => void) | undefined;
  /** For a command that does nothing else: see FileStoreOptions. */
  readonly isBlocking?: boolean;
}

/**
 * Opens the store; nothing is read or written yet, an unreachable one shows with the first operation.
 * Errors: settings that cannot work.
 */
export async function openObjectStore(
  options: StorageOptions,
  modules: StorageModules = {},
): Promise<ObjectStore> {
  const store = await openBackend(options, modules);
  return new GuardedStore(
    {
      prefix: options.prefix,
      timeoutMs: options.timeoutMs,
      tellsOperations: options.backend === "s3",
      monotonicMs: SYSTEM_SCHEDULER.monotonicMs,
      onOutcome: modules.onOutcome,
    },
    store,
  );
}

async function openBackend(
  options: StorageOptions,
  { isBlocking = false }: StorageModules,
): Promise<ObjectStore> {
  if (options.backend === "filesystem") {
    const { FileObjectStore } = await import("./file/file-store.ts");
    return new FileObjectStore({ ...options.filesystem, isBlocking });
  }
  const { S3ObjectStore } = await import("./s3/s3-store.ts");
  return new S3ObjectStore(options.s3, {
    environment: process.env,
    monotonicMs: SYSTEM_SCHEDULER.monotonicMs,
    nowMs: () => SYSTEM_CLOCK.nowMs(),
    random: () => Math.random(),
  });
}
