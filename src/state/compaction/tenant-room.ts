/** How many more jobs single tenants may have, where the policy says so. Reads one transaction on any thread. */

import { type IndexDatabase, KeyBuffer } from "../../db/index.ts";
import { tenantIdOf } from "../tombstones/read.ts";
import type { CompactionPolicy } from "./policy.ts";

export class TenantRoom {
  readonly #db: IndexDatabase;
  readonly #policy: CompactionPolicy;
  /** Jobs by tenant: those there are, counted up to the limit, and those that were admitted since. */
  readonly #jobs = new Map<string, number>();

  constructor(db: IndexDatabase, policy: CompactionPolicy) {
    this.#db = db;
    this.#policy = policy;
  }

  /** Whether a tenant may have another job. Cost: a scan over its jobs, once, where it has a limit of its own. */
  has(tenant: string): boolean {
    const limit = this.#limitOf(tenant);
    if (limit === 0) return true;
    const jobs = this.#jobs.get(tenant) ?? this.#count(tenant, limit);
    this.#jobs.set(tenant, jobs);
    return jobs < limit;
  }

  admitted(tenant: string): void {
    const jobs = this.#jobs.get(tenant);
    if (jobs !== undefined) this.#jobs.set(tenant, jobs + 1);
  }

  /** 0: none of its own. */
  #limitOf(tenant: string): number {
    const { tenants } = this.#policy;
    return Object.hasOwn(tenants, tenant) ? (tenants[tenant]?.jobsMax ?? 0) : 0;
  }

  #count(tenant: string, limit: number): number {
    const id = tenantIdOf(this.#db, tenant);
    if (id < 0) return 0;
    let count = 0;
    const start = new KeyBuffer(8).u32(0, id).u32(4, 0).bytes;
    const end = new KeyBuffer(8).u32(0, id + 1).u32(4, 0).bytes;
    this.#db.scan("compactionJobShards", start, end, () => ++count < limit);
    return count;
  }
}
