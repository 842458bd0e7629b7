/**
 * What a node does beside answering while it leads, put together: the object store, the activities that use it, and what
 * is told of them. Activities are made here and added; `observe` starts and stops them as the role changes.
 */
import { type Logger, SYSTEM_CLOCK, SYSTEM_SCHEDULER } from "../../base/index.ts";
import {
  activitiesBody,
  type DlqControl,
  type PlacementControl,
  type RetentionControl,
  type TenantDeletionControl,
} from "../../admin/index.ts";
import type { Config, RuntimeLimits } from "../../config/index.ts";
import type { IndexDatabase } from "../../db/index.ts";
import {
  type ActivityStatus,
  BUCKET_WATCH,
  DLQ_DEFAULTS,
  DlqRecovery,
  LeaderActivities,
  type Leadership,
  PeriodicActivity,
  type PlacementManager,
  type PeriodicModules,
  type PeriodicOptions,
  RetentionCleaner,
  type RetentionPeriods,
  TenantDeleter,
  watchBucket,
} from "../../leader/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import type { Replica } from "../../replica/index.ts";
import type { StateMachine } from "../../state/index.ts";
import { type ObjectStore, openObjectStore } from "../../storage/index.ts";
import { atLeader } from "./at-leader.ts";
import {
  collectActivities,
  collectDeletions,
  collectDlq,
  collectRetention,
  countStorage,
} from "./collect-duties.ts";
import type { LogTime } from "./log-time.ts";
import { NodePlacement } from "./placement.ts";

export interface NodeDutyModules {
  readonly replica: Replica;
  readonly db: IndexDatabase;
  readonly stateMachine: StateMachine;
  readonly logTime: LogTime;
  readonly limits: RuntimeLimits;
  readonly metrics: MetricRegistry;
  readonly logger: Logger;
}

export class NodeDuties {
  readonly store: ObjectStore;
  readonly activities = new LeaderActivities();
  /** For operators. */
  readonly retention: RetentionControl;
  readonly placement: PlacementManager;
  /** For people, on any node. */
  readonly placementControl: PlacementControl;
  readonly #placement: NodePlacement;
  readonly dlq: DlqControl;
  readonly deletions: TenantDeletionControl;
  readonly #logger: Logger;

  /** Errors: settings of the object store that cannot work. Whether it can be reached shows later, in each activity. */
  static async open(config: Config, modules: NodeDutyModules): Promise<NodeDuties> {
    const { replica, metrics } = modules;
    const store = await openObjectStore(config.objects, { onOutcome: countStorage(metrics) });
    const duties = new NodeDuties(store, config, modules);
    collectActivities(metrics, duties.activities);
    duties.observe({ isLeader: replica.isServing, term: replica.term });
    return duties;
  }

  private constructor(store: ObjectStore, config: Config, modules: NodeDutyModules) {
    this.store = store;
    this.#logger = modules.logger;
    modules.logger.info("object store configured", { store: store.name });
    this.#addPeriodic(BUCKET_WATCH, (run) => watchBucket(store, run));
    this.retention = this.#addRetention(config, modules);
    this.#placement = new NodePlacement(config, { ...modules, store });
    this.placement = this.#placement.manager;
    this.placementControl = this.#placement;
    this.activities.add(this.placement);
    this.dlq = this.#addDlq(config, modules);
    this.deletions = this.#addDeletions(config, modules);
  }

  observe(leadership: Leadership): void {
    this.activities.observe(leadership);
  }

  status(): readonly ActivityStatus[] {
    return this.activities.status();
  }

  /** As both `GET /api/v1/activities` and the binary protocol tell it. */
  describe(nodeId: string): object {
    const nowMs = (): number => SYSTEM_CLOCK.nowMs();
    return activitiesBody({ activities: () => this.status(), nodeId, nowMs });
  }

  async stop(): Promise<void> {
    this.activities.stop();
    await this.#placement.close();
    await this.store.close();
  }

  #addRetention(
    { duties }: Config,
    { replica, db, stateMachine, limits, logTime, metrics, logger }: NodeDutyModules,
  ): RetentionControl {
    const options = duties.retention;
    const periods = (): RetentionPeriods => periodsOf(limits);
    const cleaner = new RetentionCleaner(options, {
      replica,
      db,
      periods,
      newestForeignEntryAtMs: () => logTime.newestForeignAtMs,
      ...SYSTEM,
      logger,
    });
    const { intervalMs } = options;
    const times = { name: "retention", intervalMs, firstAfterMs: intervalMs };
    const activity = this.#addPeriodic(times, (run) => cleaner.run(run));
    collectRetention(metrics, stateMachine.metrics, () => activity.status().lastGoodAtMs ?? 0);
    return {
      options,
      periods,
      problems: () => refusalsOf(limits),
      status: () => activity.status(),
      forecast: (atMs, countMax, signal) => cleaner.forecast(atMs, countMax, signal),
      run: () => atLeader(replica, () => activity.runNow()),
    };
  }

  #addDlq({ duties }: Config, { replica, metrics, logger }: NodeDutyModules): DlqControl {
    const { store } = this;
    const options = { ...DLQ_DEFAULTS, ...duties.dlq };
    const recovery = new DlqRecovery(options, { store, replica, ...SYSTEM, logger });
    collectDlq(metrics, recovery);
    const { intervalMs } = options;
    // What gathered while nobody led comes home at once.
    const times = { name: "dlq", intervalMs, firstAfterMs: Math.min(intervalMs, DLQ_FIRST_MS) };
    const activity = this.#addPeriodic(times, (run) => recovery.run(run));
    return {
      status: () => activity.status(),
      view: () => recovery.status(),
      sweep: () => atLeader(replica, () => activity.runNow()),
    };
  }

  #addDeletions({ duties }: Config, modules: NodeDutyModules): TenantDeletionControl {
    const { replica, db, stateMachine, metrics, logger } = modules;
    const { store } = this;
    const parts = { replica, state: stateMachine, db, store, ...SYSTEM, logger };
    const deleter = new TenantDeleter(parts);
    collectDeletions(metrics, { state: stateMachine, deleter, db });
    const { intervalMs } = duties.tenants;
    const times = { name: "tenants", intervalMs, firstAfterMs: Math.min(intervalMs, DLQ_FIRST_MS) };
    const activity = this.#addPeriodic(times, (run) => deleter.run(run));
    return { store: store.name, status: () => activity.status() };
  }

  #addPeriodic(options: PeriodicOptions, run: PeriodicModules["run"]): PeriodicActivity {
    const activity = new PeriodicActivity(options, { run, ...SYSTEM, logger: this.#logger });
    this.activities.add(activity);
    return activity;
  }
}

const DLQ_FIRST_MS = 500;

const SYSTEM = { clock: SYSTEM_CLOCK, scheduler: SYSTEM_SCHEDULER } as const;

/** Tenants whose entry names no period have that of all. */
function periodsOf(limits: NodeDutyModules["limits"]): RetentionPeriods {
  const overridesMs = new Map<string, number>();
  for (const tenant of limits.tenants) {
    if (limits.ownValues(tenant)?.has("retention-period") !== true) continue;
    overridesMs.set(tenant, limits.of(tenant).retentionPeriodMs);
  }
  return { defaultMs: limits.global.retentionPeriodMs, overridesMs };
}

/** Why the files that stand there now do not count. */
function refusalsOf({ problems }: Pick<RuntimeLimits, "problems">): string[] {
  const refusals = problems.filter(({ severity }) => severity === "error");
  return refusals.map(({ place, message }) => `${place}: ${message}`);
}
