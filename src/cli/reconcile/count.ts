/** How much there is to do, for progress: listing is a small part of reading. */
import type { ObjectStore } from "../../storage/index.ts";
import { BLOCK_PREFIXES } from "./block-keys.ts";

/** Errors: the bucket cannot be listed; the signal's reason. */
export async function countBlockObjects(
  store: Pick<ObjectStore, "list">,
  signal: AbortSignal,
): Promise<number> {
  let count = 0;
  for (const prefix of BLOCK_PREFIXES)
    for await (const page of store.list({ prefix, signal })) count += page.length;
  return count;
}
