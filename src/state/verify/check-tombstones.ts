/** Checks tombstones: names and protected ids follow from the recorded ones. */

import { type IndexDatabase, keyU32, keyU64 } from "../../db/index.ts";
import { Counters } from "../counters.ts";
import { listTombstones, tenantIdOf } from "../tombstones/read.ts";
import { tombstoneBlockKey, tombstoneNameKey } from "../tombstones/rows.ts";
import type { Problems } from "./problems.ts";

const FIRST = new Uint8Array(4);
const LAST = new Uint8Array(1024).fill(0xff);

/** Returns how many are recorded. */
export function checkTombstones(db: IndexDatabase, problems: Problems): number {
  const listed = listTombstones(db, Number.POSITIVE_INFINITY);
  const names = new Set<string>();
  const places = new Set<string>();
  const references = new Map<string, number>();
  for (const { name, tombstone, index, position } of listed) {
    problems.check(name !== "" && !names.has(name), () => `tombstone "${name}" is there twice`);
    names.add(name);
    places.add(`${index}.${position}`);
    problems.check(
      db.has("tombstoneNames", tombstoneNameKey(name, { index, position })),
      () => `tombstone "${name}" is not found by its name`,
    );
    const { blocks } = tombstone;
    for (const id of blocks?.blocks ?? []) {
      const tenant = tenantIdOf(db, blocks?.tenant ?? "");
      const key = Buffer.from(tombstoneBlockKey(tenant, blocks?.shard ?? 0, id)).toString("hex");
      references.set(key, (references.get(key) ?? 0) + 1);
    }
  }
  checkCounts(db, references, listed.length, problems);
  let nameRows = 0;
  db.scan("tombstoneNames", FIRST, LAST, (key) => {
    nameRows++;
    const place = `${keyU64(key, 8)}.${keyU32(key, 16)}`;
    problems.check(places.has(place), () => `the tombstone name at ${place} has no tombstone`);
    return true;
  });
  problems.same("rows of tombstoneNames", nameRows, listed.length);
  return listed.length;
}

function checkCounts(
  db: IndexDatabase,
  references: ReadonlyMap<string, number>,
  tombstones: number,
  problems: Problems,
): void {
  let ids = 0;
  db.scan("tombstoneBlocks", FIRST, LAST, (key) => {
    ids++;
    const text = Buffer.from(new Uint8Array(key)).toString("hex");
    problems.same(
      `references of protected id ${text}`,
      db.u32[0] as number,
      references.get(text) ?? 0,
    );
    return true;
  });
  problems.same("rows of tombstoneBlocks", ids, references.size);
  const counters = new Counters();
  counters.load(db);
  problems.same("counter tombstoneIds", counters.tombstoneIds, ids);
  problems.same("counter tombstones", counters.tombstones, tombstones);
}
