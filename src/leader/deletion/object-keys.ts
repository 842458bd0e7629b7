/**
 * Where objects of a tenant are (grpc-contract 9): `<root>/<shard>/<tenant>/...` below each root. Segments of many tenants
 * are in `segments/<shard>/anonymous/` and are not found by a tenant's name.
 */
import { ANONYMOUS_DIRECTORY, DLQ_PREFIX, QUARANTINE_PREFIX } from "../dlq/entry-key.ts";

const BLOCKS_PREFIX = "blocks/";
const SEGMENTS_PREFIX = "segments/";
/** Of a key that S3 takes, with room for root, shard, block and file. */
const NAME_MAX_BYTES = 900;

/**
 * Roots below which the tenant has directories of its own, in the order of their keys. A tenant that is called as the
 * anonymous owner's directory shares it below `dlq/` with segments of everybody: nothing is deleted there by name, and its
 * dead letters go as they are met.
 */
export function rootsOf(tenant: string): readonly string[] {
  if (!isPathPart(tenant)) return [];
  // "-" sorts before "/".
  return tenant === ANONYMOUS_DIRECTORY
    ? [BLOCKS_PREFIX]
    : [BLOCKS_PREFIX, QUARANTINE_PREFIX, DLQ_PREFIX];
}

/** Whether the name can be one part of a key. One that cannot has no objects of its own: `a/b` would be in those of `a`. */
export function isPathPart(tenant: string): boolean {
  if (tenant === "" || tenant === "." || tenant === "..") return false;
  return !/[/\0]/.test(tenant) && Buffer.byteLength(tenant) <= NAME_MAX_BYTES;
}

export function tenantPrefix(root: string, shard: string, tenant: string): string {
  return `${root}${shard}/${tenant}/`;
}

export function segmentPrefix(shard: number, id: string): string {
  return `${SEGMENTS_PREFIX}${shard}/${ANONYMOUS_DIRECTORY}/${id}/`;
}
