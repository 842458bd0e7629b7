/** Checks deletions of tenants: who is hidden follows from their rows, and owns nothing once it says so. */

import { APPLIED_RECORD, type IndexDatabase, KeyBuffer, META_KEYS } from "../../db/index.ts";
import { isHiding, readDeletions } from "../deletions/rows.ts";
import { tenantIdOf } from "../tombstones/read.ts";
import type { Problems } from "./problems.ts";

export function checkDeletions(db: IndexDatabase, problems: Problems): void {
  const live = readDeletions(db).filter(({ state }) => isHiding(state));
  const length = db.get("meta", META_KEYS.applied);
  const hasField = length > 8 * APPLIED_RECORD.hiddenAt64;
  const hiddenAt = hasField ? (db.f64[APPLIED_RECORD.hiddenAt64] as number) : 0;
  problems.check(hiddenAt > 0 === live.length > 0, () => {
    return `${live.length} tenants are hidden, the applied record says since ${hiddenAt}`;
  });
  const names = new Set<string>();
  for (const { tenant, state } of live) {
    problems.check(!names.has(tenant), () => `tenant "${tenant}" is being deleted twice`);
    names.add(tenant);
    const owner = tenantIdOf(db, tenant);
    problems.check(owner > 0, () => `tenant "${tenant}" is being deleted and has no id`);
    if (owner <= 0 || state === "hidden") continue;
    const owns = db.get("owners", new KeyBuffer(4).u32(0, owner).bytes) >= 0;
    problems.check(!owns, () => `tenant "${tenant}" is ${state} and owns blocks`);
  }
}
