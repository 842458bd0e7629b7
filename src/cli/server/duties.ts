/**
 * What a node does beside answering while it leads, put together: the object store, the activities that use it, and what
 * is told of them. Activities are made here and added; `observe` starts and stops them as the role changes.
 */
import { type Logger, SYSTEM_CLOCK, SYSTEM_SCHEDULER } from "../../base/index.ts";
import type { Config, RuntimeLimits } from "../../config/index.ts";
import {
  type ActivityStatus,
  BUCKET_WATCH,
  LeaderActivities,
  type Leadership,
  PeriodicActivity,
  type PlacementManager,
  type PeriodicModules,
  type PeriodicOptions,
  watchBucket,
} from "../../leader/index.ts";
import type { PlacementControl } from "../../admin/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import type { Replica } from "../../replica/index.ts";
import { type ObjectStore, openObjectStore } from "../../storage/index.ts";
import { collectActivities, countStorage } from "./collect-duties.ts";
import { NodePlacement } from "./placement.ts";

export interface NodeDutyModules {
  readonly replica: Replica;
  readonly limits: RuntimeLimits;
  readonly metrics: MetricRegistry;
  readonly logger: Logger;
}

export class NodeDuties {
  readonly store: ObjectStore;
  readonly activities = new LeaderActivities();
  readonly placement: PlacementManager;
  /** For people, on any node. */
  readonly placementControl: PlacementControl;
  readonly #placement: NodePlacement;
  readonly #logger: Logger;

  /** Errors: settings of the object store that cannot work. Whether it can be reached shows later, in each activity. */
  static async open(config: Config, modules: NodeDutyModules): Promise<NodeDuties> {
    const { replica, metrics } = modules;
    const store = await openObjectStore(config.objects, { onOutcome: countStorage(metrics) });
    const placement = new NodePlacement(config, { ...modules, store });
    const duties = new NodeDuties(store, placement, modules.logger);
    collectActivities(metrics, duties.activities);
    duties.observe({ isLeader: replica.isServing, term: replica.term });
    return duties;
  }

  private constructor(store: ObjectStore, placement: NodePlacement, logger: Logger) {
    this.store = store;
    this.placement = placement.manager;
    this.placementControl = placement;
    this.#placement = placement;
    this.#logger = logger;
    logger.info("object store configured", { store: store.name });
    this.#addPeriodic(BUCKET_WATCH, (run) => watchBucket(store, run));
    this.activities.add(this.placement);
  }

  observe(leadership: Leadership): void {
    this.activities.observe(leadership);
  }

  status(): readonly ActivityStatus[] {
    return this.activities.status();
  }

  async stop(): Promise<void> {
    this.activities.stop();
    await this.#placement.close();
    await this.store.close();
  }

  #addPeriodic(options: PeriodicOptions, run: PeriodicModules["run"]): void {
    const clock = SYSTEM_CLOCK;
    const scheduler = SYSTEM_SCHEDULER;
    const logger = this.#logger;
    this.activities.add(new PeriodicActivity(options, { run, clock, scheduler, logger }));
  }
}
