/**
 * The leader's activity that publishes the placement: a cycle every 15 s in a thread, and what came of it as objects.
 *
 * - The rules in the bucket are read before each cycle: what another leader wrote meanwhile sets how old ours may look.
 * - An object is written when it says something new, and once in a third of the retention anyway, so that its age tells
 *   readers and the next leader that somebody still makes it.
 * - Before anything is written a majority has confirmed that this member leads. Two leaders can then only overlap for the
 *   time of one write, and readers ignore what is older than what they have.
 */

import { type Clock, HearthError, type Logger, type Scheduler } from "../../base/index.ts";
import type { CallOptions, ObjectStore } from "../../storage/index.ts";
import {
  ACTIVITY_OUTCOME,
  type ActivityResult,
  type ActivityRun,
  type ActivityStatus,
  failedBy,
  type LeaderActivity,
  PeriodicActivity,
} from "../activities/index.ts";
import type {
  CycleSummary,
  EncodedObject,
  LimitTable,
  PlacementCycle,
  PlacementFilter,
  PlacementObjects,
  PlacementPreview,
  PlacementTable,
} from "./messages.ts";
import { PLACEMENT_KEYS } from "./objects.ts";
import type { PlacementOptions } from "./options.ts";
import { PinBook, type PinChange } from "./pin-book.ts";
import { PlacementSampler, SAMPLER_DEFAULTS } from "./sampler.ts";
import { expectReply, type PlacementThread } from "./thread.ts";

export interface PlacementModules {
  readonly store: ObjectStore;
  readonly thread: PlacementThread;
  readonly limits: () => LimitTable;
  /** Resolves when a majority has confirmed that this member leads. */
  readonly confirmLeadership: () => Promise<void>;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** Datasets that metrics name; the rest is only in the objects. */
const TOP_MAX_COUNT = 500;
/** The rules of 200,000 datasets. */
const OBJECT_MAX_BYTES = 32 * 1024 * 1024;

interface Written {
  readonly content: Uint8Array;
  readonly atMs: number;
}

interface Office {
  readonly term: number;
  readonly startedAtMs: number;
  rules: Written | null;
  stats: Written | null;
}

export class PlacementManager implements LeaderActivity {
  readonly name = "placement";
  readonly #options: PlacementOptions;
  readonly #modules: PlacementModules;
  readonly #periodic: PeriodicActivity;
  readonly #sampler: PlacementSampler;
  readonly #pins: PinBook;
  #office: Office | null = null;
  /** Term that this member leads in, as far as it was told; 0: none. */
  #term = 0;
  /** Of the newest cycle; null: this member does not lead, or has not made one yet. */
  #summary: CycleSummary | null = null;
  #writtenAtMs = 0;

  constructor(options: PlacementOptions, modules: PlacementModules) {
    this.#options = options;
    this.#modules = modules;
    const { clock, scheduler, logger, store, confirmLeadership } = modules;
    const { updateIntervalMs: intervalMs } = options;
    this.#periodic = new PeriodicActivity(
      { name: this.name, intervalMs, firstAfterMs: intervalMs },
      { run: (run) => this.#run(run), clock, scheduler, logger },
    );
    this.#sampler = new PlacementSampler(SAMPLER_DEFAULTS, {
      scheduler,
      send: async ({ body, weight }) => {
        const nowMs = clock.nowMs();
        expectReply(await modules.thread.run({ kind: "samples", nowMs, body, weight }), "taken");
      },
    });
    this.#pins = new PinBook({ store, confirmLeadership, logger });
  }

  /** Where what writers propose goes by. */
  get sampler(): Pick<PlacementSampler, "take" | "keep"> {
    return this.#sampler;
  }

  get summary(): CycleSummary | null {
    return this.#summary;
  }

  /** When the rules were written here last, Unix ms; 0: not yet. */
  get writtenAtMs(): number {
    return this.#writtenAtMs;
  }

  start(term: number): void {
    if (this.#options.updateIntervalMs === 0) return;
    this.#term = term;
    this.#sampler.start();
    this.#periodic.start(term);
  }

  stop(): void {
    this.#term = 0;
    this.#sampler.stop();
    this.#periodic.stop();
    this.#office = null;
    this.#summary = null;
  }

  status(): ActivityStatus {
    return this.#periodic.status();
  }

  runNow(): Promise<ActivityResult> {
    return this.#periodic.runNow();
  }

  /** What the bucket says, on any member. Errors: those of the store. */
  async show(filter: PlacementFilter, signal: AbortSignal): Promise<PlacementTable> {
    const objects = await this.#readObjects({ signal });
    const reply = await this.#modules.thread.run({ kind: "view", objects, filter });
    return expectReply(reply, "viewed").view;
  }

  /**
   * What the next cycle would change, with a change of the pins if one is given.
   * Errors: `not_leader`; `not_measured` before the first cycle; those of the store and of the pin.
   */
  async preview(
    filter: PlacementFilter,
    change: PinChange | null,
    signal: AbortSignal,
  ): Promise<PlacementPreview> {
    const term = this.#leadingTerm();
    const current = await this.#pins.read({ signal });
    const pins = change === null ? current : this.#pins.changed(current, change);
    const reply = await this.#modules.thread.run({
      kind: "preview",
      term,
      nowMs: this.#modules.clock.nowMs(),
      limits: this.#modules.limits(),
      pins: pins.list(),
      filter,
    });
    const { preview } = expectReply(reply, "previewed");
    if (preview === null) throw notMeasured(this.#options.updateIntervalMs);
    return preview;
  }

  /**
   * Changes the pins and publishes rules with them. Resolves with false when nothing was to be changed.
   * Errors: `not_leader`, those of the store and of the pin; a failed cycle afterwards is only in the status.
   */
  async changePins(change: PinChange, signal: AbortSignal): Promise<boolean> {
    this.#leadingTerm();
    const isChanged = await this.#pins.change(change, { signal });
    if (isChanged) await this.#periodic.runAfresh();
    return isChanged;
  }

  #leadingTerm(): number {
    if (this.#options.updateIntervalMs === 0) {
      throw new HearthError("failed_precondition", "The placement is switched off", {
        reason: "placement_off",
        next: "Set adaptive-placement.placement-rules-update-interval above 0",
      });
    }
    if (this.#term > 0) return this.#term;
    throw new HearthError("unavailable", "This member does not lead and makes no placement", {
      reason: "not_leader",
      next: "Ask the leader: hearth status names it",
    });
  }

  async #run({ term, signal, isLeading }: ActivityRun): Promise<ActivityResult> {
    const office = this.#office?.term === term ? this.#office : await this.#begin(term, signal);
    const { clock, thread, limits, store } = this.#modules;
    const pins = await this.#pins.readOrLast({ signal });
    const stored = await store.get(PLACEMENT_KEYS.rules, { signal, maxBytes: OBJECT_MAX_BYTES });
    const reply = await thread.run({
      kind: "cycle",
      term,
      nowMs: clock.nowMs(),
      limits: limits(),
      pins: pins.list(),
      stored,
      topMaxCount: TOP_MAX_COUNT,
    });
    if (reply.kind === "unloaded") {
      this.#office = null;
      throw new HearthError("internal", "The thread of the placement died and is started again", {
        reason: "placement_thread_lost",
      });
    }
    if (!isLeading()) return STOPPED;
    const { cycle } = expectReply(reply, "cycled");
    this.#office = office;
    this.#summary = cycle.summary;
    const waitMs = office.startedAtMs + this.#options.confidenceMs - clock.nowMs();
    if (waitMs > 0) return nothing(`Measures for another ${Math.ceil(waitMs / 1_000)} s`);
    return this.#publish(office, cycle, { signal, isLeading });
  }

  /** Takes over from the leader before. Errors: the rules cannot be read; the next run tries again. */
  async #begin(term: number, signal: AbortSignal): Promise<Office> {
    const { clock, thread, logger } = this.#modules;
    const objects = await this.#readObjects({ signal });
    const { aggregationWindowMs, statisticsRetentionMs, rulesRetentionMs, deviation } =
      this.#options;
    const reply = await thread.run({
      kind: "load",
      term,
      nowMs: clock.nowMs(),
      objects,
      options: {
        halfLifeNs: aggregationWindowMs * 1e6,
        statisticsRetentionNs: statisticsRetentionMs * 1e6,
        rulesRetentionNs: rulesRetentionMs * 1e6,
        deviation,
      },
    });
    for (const problem of expectReply(reply, "loaded").problems)
      logger.warn("placement object ignored, it is written anew", { problem });
    return { term, startedAtMs: clock.nowMs(), rules: null, stats: null };
  }

  async #readObjects(options: CallOptions): Promise<PlacementObjects> {
    const { store } = this.#modules;
    const read = (key: string): Promise<Uint8Array | null> =>
      store.get(key, { ...options, maxBytes: OBJECT_MAX_BYTES });
    const [rules, stats, pins] = await Promise.all([
      read(PLACEMENT_KEYS.rules),
      read(PLACEMENT_KEYS.stats),
      read(PLACEMENT_KEYS.pins),
    ]);
    return { rules, stats, pins };
  }

  /** Both are tried: each is of use alone. */
  async #publish(
    office: Office,
    { rules, stats, summary }: PlacementCycle,
    run: Pick<ActivityRun, "signal" | "isLeading">,
  ): Promise<ActivityResult> {
    const isRulesNew = this.#isNew(rules, office.rules);
    const isStatsNew = this.#isNew(stats, office.stats);
    if (!isRulesNew && !isStatsNew) return nothing("The rules are as they were");
    await this.#modules.confirmLeadership();
    const failures: ActivityResult[] = [];
    const write = async (
      key: string,
      object: EncodedObject,
      note: (written: Written) => void,
    ): Promise<void> => {
      try {
        await this.#modules.store.put(key, object.bytes, { signal: run.signal });
        note({ content: contentOf(object), atMs: this.#modules.clock.nowMs() });
      } catch (error) {
        failures.push(failedBy(error));
      }
    };
    if (isRulesNew && run.isLeading())
      await write(PLACEMENT_KEYS.rules, rules, (written) => {
        office.rules = written;
        this.#writtenAtMs = written.atMs;
      });
    if (isStatsNew && run.isLeading())
      await write(PLACEMENT_KEYS.stats, stats, (written) => {
        office.stats = written;
      });
    if (!run.isLeading()) return STOPPED;
    const [failure] = failures;
    if (failure !== undefined) return failure;
    const what = isRulesNew ? "rules" : "statistics";
    const text = `Wrote ${what}: ${summary.rules} datasets, ${summary.rates} rates`;
    return { outcome: ACTIVITY_OUTCOME.done, text };
  }

  #isNew(object: EncodedObject, written: Written | null): boolean {
    if (written === null) return true;
    const ageMs = this.#modules.clock.nowMs() - written.atMs;
    if (ageMs >= this.#options.rulesRetentionMs / 3) return true;
    return Buffer.compare(contentOf(object), written.content) !== 0;
  }
}

const STOPPED: ActivityResult = {
  outcome: ACTIVITY_OUTCOME.stopped,
  text: "Stopped: this member does not lead any more",
};

function nothing(text: string): ActivityResult {
  return { outcome: ACTIVITY_OUTCOME.nothing, text };
}

function contentOf({ bytes, contentBytes }: EncodedObject): Uint8Array {
  return bytes.subarray(0, contentBytes);
}

function notMeasured(intervalMs: number): HearthError {
  return new HearthError("unavailable", "This leader has not measured anything yet", {
    reason: "not_measured",
    next: `It makes the first rules within ${Math.ceil(intervalMs / 1_000)} s of becoming leader`,
    retryAfterMs: intervalMs,
  });
}
