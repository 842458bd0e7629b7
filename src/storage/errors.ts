/** What can go wrong with the object store; the texts of the system and of services are translated here. */
import { HearthError } from "../base/index.ts";

/** Closed, used as a metric label. */
export type StorageErrorReason =
  | "bad_object_key"
  | "object_too_large"
  | "object_incomplete"
  | "storage_denied"
  | "storage_full"
  | "storage_listing_stuck"
  | "storage_link"
  | "storage_timeout"
  | "storage_unavailable";

type Operation = "list" | "read" | "write" | "delete" | "look up";

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

export function badKey(key: string, what: string): HearthError {
  const shown = key.length > 200 ? `${key.slice(0, 200)}...` : key;
  return new HearthError("invalid_argument", `Object key ${JSON.stringify(shown)} ${what}`, {
    reason: "bad_object_key" satisfies StorageErrorReason,
  });
}

export function objectTooLarge(key: string, sizeBytes: number, maxBytes: number): HearthError {
  return new HearthError(
    "resource_exhausted",
    `Object ${key} has ${sizeBytes} bytes, the limit is ${maxBytes}`,
    { reason: "object_too_large" satisfies StorageErrorReason },
  );
}

/** The end came before the size that was promised: it is being written, was cut, or the connection broke. */
export function objectIncomplete(key: string, gotBytes: number, wantedBytes: number): HearthError {
  return new HearthError(
    "unavailable",
    `Object ${key} ended after ${gotBytes} of ${wantedBytes} bytes`,
    { reason: "object_incomplete" satisfies StorageErrorReason },
  );
}

export function linkRefused(path: string): HearthError {
  return new HearthError(
    "permission_denied",
    `Cannot use ${path}: it is a symbolic link or lies behind one`,
    {
      reason: "storage_link" satisfies StorageErrorReason,
      next: "Objects are plain files below storage.filesystem.dir; replace the link by what it points to",
    },
  );
}

export function storageDenied(operation: Operation, what: string, cause: unknown): HearthError {
  return new HearthError("permission_denied", `Cannot ${operation} ${what}: ${textOf(cause)}`, {
    reason: "storage_denied" satisfies StorageErrorReason,
    next: "Give this node the rights to list, read, write and delete in the bucket",
    cause,
  });
}

export function storageFull(what: string, cause: unknown): HearthError {
  return new HearthError("resource_exhausted", `Cannot write ${what}: ${textOf(cause)}`, {
    reason: "storage_full" satisfies StorageErrorReason,
    next: "Free space where the bucket lies",
    cause,
  });
}

export function storageUnavailable(
  operation: Operation,
  what: string,
  cause: unknown,
): HearthError {
  return new HearthError("unavailable", `Cannot ${operation} ${what}: ${textOf(cause)}`, {
    reason: "storage_unavailable" satisfies StorageErrorReason,
    next: "Check the settings storage.* and that the bucket can be reached from this node",
    cause,
  });
}

export function storageTimeout(operation: Operation, what: string, timeoutMs: number): HearthError {
  return new HearthError(
    "deadline_exceeded",
    `Cannot ${operation} ${what}: no answer within ${timeoutMs} ms`,
    { reason: "storage_timeout" satisfies StorageErrorReason },
  );
}

export function listingStuck(store: string, key: string, previous: string): HearthError {
  return new HearthError(
    "data_loss",
    `The list of ${store} does not ascend: ${JSON.stringify(key)} came behind ${JSON.stringify(previous)}`,
    {
      reason: "storage_listing_stuck" satisfies StorageErrorReason,
      next: "The store repeats itself or does not sort by bytes; nothing is decided from such a list",
    },
  );
}

const DENIED_CODES: ReadonlySet<unknown> = new Set(["EACCES", "EPERM", "EROFS"]);
const FULL_CODES: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/** An error of the file system, in our words. */
export function fromSystem(operation: Operation, what: string, cause: unknown): HearthError {
  const code = (cause as NodeJS.ErrnoException | null)?.code;
  if (code === "ELOOP") return linkRefused(what);
  if (DENIED_CODES.has(code)) return storageDenied(operation, what, cause);
  if (FULL_CODES.has(code)) return storageFull(what, cause);
  return storageUnavailable(operation, what, cause);
}
