/**
 * How long data is kept, as points in time (spec retention-dlq-placement, A3): what is older than the cut-off of its
 * tenant may go.
 *
 * Blocks of the anonymous owner hold data of any tenant until compaction has split them. They are kept as long as the
 * longest period of all: for ever, if one tenant's data is.
 */

export interface RetentionPeriods {
  /** 0: for ever. */
  readonly defaultMs: number;
  /** Of tenants that have one of their own; 0: for ever. */
  readonly overridesMs: ReadonlyMap<string, number>;
}

/** Keeps everything: a cut-off before all time. */
export const NEVER = Number.NEGATIVE_INFINITY;

export class RetentionPolicy {
  readonly #cutOffs = new Map<string, number>();
  readonly #default: number;
  /** Cut-off of blocks that may hold data of any tenant. */
  readonly earliest: number;
  /** No tenant's cut-off is later: what ends after it is nobody's to delete. */
  readonly latest: number;

  /** `nowMs`: Unix ms. Periods are not negative: the settings see to that, and one that is would count as for ever. */
  constructor({ defaultMs, overridesMs }: RetentionPeriods, nowMs: number) {
    this.#default = cutOff(defaultMs, nowMs);
    let earliest = this.#default;
    let latest = this.#default;
    for (const [tenant, periodMs] of overridesMs) {
      // The anonymous owner is no tenant; a period of its own would delete data of others.
      if (tenant === "") continue;
      const own = cutOff(periodMs, nowMs);
      this.#cutOffs.set(tenant, own);
      earliest = Math.min(earliest, own);
      latest = Math.max(latest, own);
    }
    this.earliest = earliest;
    this.latest = latest;
  }

  /** Unix ms; NEVER: keeps everything. "" is the anonymous owner. */
  cutOffOf(tenant: string): number {
    return tenant === "" ? this.earliest : (this.#cutOffs.get(tenant) ?? this.#default);
  }
}

function cutOff(periodMs: number, nowMs: number): number {
  return periodMs > 0 && Number.isFinite(periodMs) ? nowMs - periodMs : NEVER;
}
