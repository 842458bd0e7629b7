/** Keys of the dead letter queue: `dlq/<shard>/<tenant>/<block id>/meta.pb`, tenant `anonymous` for level 0 (spec B1). */
import { tryDecodeUlid, ULID_BYTES } from "../../base/index.ts";

export const DLQ_PREFIX = "dlq/";
/** Bad entries, under the rest of their key. Outside of `dlq/`: no component looks there. */
export const QUARANTINE_PREFIX = "dlq-quarantine/";
/** Directory of the anonymous owner, whose name is empty. */
export const ANONYMOUS_DIRECTORY = "anonymous";

export interface EntryKey {
  /** As it stands there: to be compared with the metadata. */
  readonly shard: string;
  readonly tenant: string;
  readonly id: string;
}

const scratch = new Uint8Array(ULID_BYTES);

/** The parts of an entry's key; null for any other key. Stricter than the reference in the id alone. */
export function parseEntryKey(key: string): EntryKey | null {
  const [root, shard = "", tenant = "", id = "", file, ...rest] = key.split("/");
  const isShaped = root === "dlq" && file === "meta.pb" && rest.length === 0;
  if (!isShaped || shard === "" || tenant === "" || !tryDecodeUlid(id, scratch, 0)) return null;
  return { shard, tenant, id };
}

export function quarantineKey(key: string): string {
  return `${QUARANTINE_PREFIX}${key.slice(DLQ_PREFIX.length)}`;
}

/** Why an entry was put aside, beside it. */
export function reasonKey(key: string): string {
  return quarantineKey(key).replace(/meta\.pb$/, "reason.txt");
}
