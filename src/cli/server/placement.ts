/** The placement on a node, put together: its manager, the thread behind it, its metrics, and the limits of tenants. */
import type { PlacementControl } from "../../admin/index.ts";
import { type Logger, SYSTEM_CLOCK, SYSTEM_SCHEDULER } from "../../base/index.ts";
import type { Config, RuntimeLimits, TenantLimits } from "../../config/index.ts";
import {
  type LimitTable,
  type PinChange,
  type PlacementFilter,
  type PlacementPreview,
  type PlacementTable,
  OwnPlacementThread,
  type PlacementLimits,
  PlacementManager,
} from "../../leader/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import type { Replica } from "../../replica/index.ts";
import type { ObjectStore } from "../../storage/index.ts";
import { atLeader } from "./at-leader.ts";
import { collectPlacement } from "./collect-placement.ts";

export interface NodePlacementModules {
  readonly replica: Pick<Replica, "confirmIndex" | "status">;
  readonly store: ObjectStore;
  readonly limits: RuntimeLimits;
  readonly metrics: MetricRegistry;
  readonly logger: Logger;
}

export class NodePlacement implements PlacementControl {
  readonly manager: PlacementManager;
  readonly #thread = new OwnPlacementThread();
  readonly #replica: NodePlacementModules["replica"];

  constructor({ placement }: Pick<Config, "placement">, modules: NodePlacementModules) {
    const { store, limits, metrics, logger, replica } = modules;
    this.#replica = replica;
    const table = new LimitTables(limits);
    this.manager = new PlacementManager(placement.options, {
      store,
      thread: this.#thread,
      limits: () => table.current(),
      confirmLeadership: () => confirmLeadership(replica),
      clock: SYSTEM_CLOCK,
      scheduler: SYSTEM_SCHEDULER,
      logger,
    });
    collectPlacement(metrics, placement.exported, this.manager);
  }

  show(filter: PlacementFilter, signal: AbortSignal): Promise<PlacementTable> {
    return this.manager.show(filter, signal);
  }

  preview(
    filter: PlacementFilter,
    change: PinChange | null,
    signal: AbortSignal,
  ): Promise<PlacementPreview> {
    return atLeader(this.#replica, () => this.manager.preview(filter, change, signal));
  }

  changePins(change: PinChange, signal: AbortSignal): Promise<boolean> {
    return atLeader(this.#replica, () => this.manager.changePins(change, signal));
  }

  /** The manager was stopped before. */
  close(): Promise<void> {
    return this.#thread.close();
  }
}

/**
 * An index is granted to a leader alone, by a majority. The bucket is looked at then, not the state. Errors: why it was not.
 */
function confirmLeadership(replica: Pick<Replica, "confirmIndex">): Promise<void> {
  return new Promise((resolve, reject) => {
    replica.confirmIndex((result) => {
      if (result.ok) resolve();
      else reject(result.error);
    });
  });
}

/** Limits as the placement counts, made again when the files say something else. */
class LimitTables {
  readonly #limits: RuntimeLimits;
  #table: LimitTable | null = null;
  #loadedAtMs = 0;

  constructor(limits: RuntimeLimits) {
    this.#limits = limits;
  }

  current(): LimitTable {
    if (this.#table === null || this.#limits.loadedAtMs !== this.#loadedAtMs) {
      this.#loadedAtMs = this.#limits.loadedAtMs;
      const own = this.#limits.tenants.map(
        (tenant) => [tenant, placementOf(this.#limits.of(tenant))] as const,
      );
      this.#table = { global: placementOf(this.#limits.global), own };
    }
    return this.#table;
  }
}

function placementOf({ placement }: TenantLimits): PlacementLimits {
  const { unitBytesPerSec, burstWindowMs, decayWindowMs, ...rest } = placement;
  return {
    ...rest,
    unitSizeBytes: unitBytesPerSec,
    burstWindowNs: burstWindowMs * 1e6,
    decayWindowNs: decayWindowMs * 1e6,
  };
}
