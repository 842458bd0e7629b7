/**
 * The objects of one tenant in the bucket, stretch by stretch in the order of their keys, whatever shards there are: those
 * that exist are found by the list alone, one request each, whatever other tenants keep in them.
 *
 *   first key behind the place ──> its shard ──> list <root>/<shard>/<tenant>/ ──> skip to the next shard
 *
 * A stretch ends where the next one begins. So a place is all that has to be remembered, by whoever goes on.
 */
import type { ObjectInfo, ObjectStore } from "../../storage/index.ts";
import { rootsOf, tenantPrefix } from "./object-keys.ts";

/** What lies between two places. */
export interface Stretch {
  readonly objects: readonly ObjectInfo[];
  /** Behind this key the next stretch begins. */
  readonly to: string;
  readonly isEnd: boolean;
}

/** Shards without anything of the tenant are put together up to this, so that each stretch is worth noting. */
const SKIPPED_PER_STRETCH_MAX = 1_000;

/** Objects behind `place`; "" is the beginning. Errors: those of the store. */
export async function* tenantObjects(
  store: ObjectStore,
  tenant: string,
  { place, signal }: { readonly place: string; readonly signal: AbortSignal },
): AsyncGenerator<Stretch> {
  let skipped = 0;
  let to = place;
  for (const root of rootsOf(tenant)) {
    let after = behindRoot(root, place);
    for (;;) {
      const key = after === null ? null : await firstKey(store, root, after, signal);
      if (key === null || after === null) break;
      const shard = key.slice(root.length).split("/")[0] as string;
      const prefix = tenantPrefix(root, shard, tenant);
      const begin = after.startsWith(prefix) ? { after } : {};
      // A key with an empty part is nobody's, and cannot be asked for.
      const pages = shard === "" ? [] : store.list({ prefix, ...begin, signal });
      for await (const objects of pages) {
        to = objects.at(-1)?.key ?? to;
        skipped = 0;
        yield { objects, to, isEnd: false };
      }
      // "0" is the character behind "/".
      after = `${root}${shard}0`;
      to = after;
      if (++skipped < SKIPPED_PER_STRETCH_MAX) continue;
      skipped = 0;
      yield { objects: [], to, isEnd: false };
    }
  }
  yield { objects: [], to: "", isEnd: true };
}

/** Where to begin below a root; null: it lies before the place. */
function behindRoot(root: string, place: string): string | null {
  if (place.startsWith(root)) return place;
  return place === "" || place < root ? "" : null;
}

async function firstKey(
  store: ObjectStore,
  prefix: string,
  after: string,
  signal: AbortSignal,
): Promise<string | null> {
  const options = { prefix, pageMaxCount: 1, signal, ...(after === "" ? {} : { after }) };
  for await (const page of store.list(options)) return page[0]?.key ?? null;
  return null;
}
