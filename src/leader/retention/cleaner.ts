/**
 * The retention cleaner: chooses shards whose data is past the period of its tenant, and has the log take them out.
 *
 * What is chosen is decided on this member alone, by its clock and its settings, so it is checked twice: the entry names
 * the term it was decided in and the time each shard was judged by, and apply refuses what has changed since.
 */
import {
  type Clock,
  formatBytes,
  formatCount,
  HearthError,
  type Logger,
  nextTurn,
  type Scheduler,
} from "../../base/index.ts";
import type { IndexDatabase } from "../../db/index.ts";
import { appendEntry, ByteSink, COMMAND, encodeRetireShards } from "../../protocol/index.ts";
import type { ProposeResult, ReadIndexResult, Replica } from "../../replica/index.ts";
import { ACTIVITY_OUTCOME, type ActivityResult, type ActivityRun } from "../activities/index.ts";
import { type DueShard, type DueTotals, RetentionPass } from "./pass.ts";
import { type RetentionPeriods, RetentionPolicy } from "./policy.ts";
import { scanIndex } from "./scan.ts";
import { shardTombstone } from "./shard-name.ts";
import { SteadyClock } from "./steady-clock.ts";

export interface RetentionOptions {
  /** 0: switched off. */
  readonly intervalMs: number;
  /** Added to the end of a partition before it is looked at. */
  readonly graceMs: number;
  /** Shards per pass; 0 deletes nothing. */
  readonly shardsPerPassMax: number;
}

export interface RetentionModules {
  readonly replica: Pick<Replica, "propose" | "readIndex" | "term">;
  readonly db: IndexDatabase;
  /** Periods as the settings say now. */
  readonly periods: () => RetentionPeriods;
  /** Log time of the newest entry of terms before this member's own, Unix ms; 0: none. */
  readonly newestForeignEntryAtMs: () => number;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** What would go, without anything going. */
export interface RetentionForecast {
  /** Unix ms that the forecast is for. */
  readonly atMs: number;
  readonly totals: Readonly<DueTotals>;
  /** The first of them, in the order in which they go. */
  readonly shards: readonly DueShard[];
}

/** A full pass leaves work: the next one comes soon, so that a backlog of days is gone in minutes. */
const AGAIN_MS = 1_000;
/** Shards of one entry: applying one takes 20 to 100 us. */
const SHARDS_PER_ENTRY_MAX = 64;

export class RetentionCleaner {
  readonly #options: RetentionOptions;
  readonly #modules: RetentionModules;
  readonly #clock: SteadyClock;
  #term = 0;

  constructor(options: RetentionOptions, modules: RetentionModules) {
    this.#options = options;
    this.#modules = modules;
    this.#clock = new SteadyClock(modules);
  }

  /** A member that begins to lead, before its first pass. */
  begin(term: number): void {
    if (term === this.#term) return;
    this.#term = term;
    this.#clock.begin(this.#modules.newestForeignEntryAtMs());
  }

  /** One pass. Errors: leadership, the database. */
  async run(run: ActivityRun): Promise<ActivityResult> {
    this.begin(run.term);
    const { shardsPerPassMax: countMax } = this.#options;
    const { nowMs, distrustedMs } = this.#clock.read();
    const term = await this.#confirmLeadership();
    const pass = await this.#choose(nowMs, countMax, run.signal);
    const due = pass.take();
    for (let i = 0; i < due.length; i += SHARDS_PER_ENTRY_MAX) {
      run.signal.throwIfAborted();
      await this.#propose(term, due.slice(i, i + SHARDS_PER_ENTRY_MAX));
    }
    return this.#report(due, pass.totals, distrustedMs);
  }

  /** What a pass would take at `atMs`, Unix ms; on any member, by its own state. */
  async forecast(atMs: number, countMax: number, signal?: AbortSignal): Promise<RetentionForecast> {
    const pass = await this.#choose(atMs, countMax, signal);
    return { atMs, totals: pass.totals, shards: pass.take() };
  }

  async #choose(nowMs: number, countMax: number, signal?: AbortSignal): Promise<RetentionPass> {
    const { db, periods, scheduler } = this.#modules;
    const { graceMs } = this.#options;
    const pass = new RetentionPass(new RetentionPolicy(periods(), nowMs), { graceMs, countMax });
    await scanIndex(pass, {
      db,
      monotonicMs: () => scheduler.monotonicMs(),
      nextTurn: () => nextTurn(scheduler),
      signal,
    });
    return pass;
  }

  /** The term in which a majority followed this member just now. */
  async #confirmLeadership(): Promise<number> {
    const { replica } = this.#modules;
    const result = await new Promise<ReadIndexResult>((resolve) => replica.readIndex(resolve));
    if (!result.ok) throw result.error;
    return result.term;
  }

  async #propose(term: number, due: readonly DueShard[]): Promise<void> {
    const shards = due.map((shard) => ({
      shard: shardTombstone(shard, shard.tenant, shard.shard),
      beforeMs: shard.cutOffMs,
    }));
    const sink = new ByteSink();
    appendEntry(sink, COMMAND.retireShards, encodeRetireShards({ term, shards }));
    const body = new Uint8Array(sink.view());
    const { replica } = this.#modules;
    const result = await new Promise<ProposeResult>((resolve) =>
      replica.propose({ body, bodyBytes: body.length, count: 1 }, resolve),
    );
    if (!result.ok) throw result.error;
    if (result.rejections.size === 0) return;
    const reason = result.rejections.get(0) ?? "rejected";
    throw new HearthError("internal", `Retention was refused by the state: ${reason}`, { reason });
  }

  #report(due: readonly DueShard[], totals: DueTotals, distrustedMs: number): ActivityResult {
    const left = totals.shards - due.length;
    const more = left > 0 ? `, ${formatCount(left)} more are due` : "";
    const removed = sumOf(due);
    if (due.length > 0) this.#modules.logger.info("retention removed shards", { ...removed, left });
    if (distrustedMs > 0) {
      const text =
        `The clock of this node jumped ahead by ${Math.round(distrustedMs / 1_000)} s, or is that far ahead of the log; ` +
        `retention goes by the time before. When the clock is right: restart this node, or transfer the leadership`;
      return { outcome: ACTIVITY_OUTCOME.failed, reason: "clock_ahead", text };
    }
    if (due.length === 0) {
      return { outcome: ACTIVITY_OUTCOME.nothing, text: `No shard is past its period${more}` };
    }
    const text = `Removed ${formatCount(due.length)} shards with ${formatCount(removed.blocks)} blocks, ${formatBytes(removed.bytes)}${more}`;
    const again = left > 0 ? { againAfterMs: AGAIN_MS } : {};
    return { outcome: ACTIVITY_OUTCOME.done, text, ...again };
  }
}

function sumOf(due: readonly DueShard[]): { shards: number; blocks: number; bytes: number } {
  const sum = { shards: due.length, blocks: 0, bytes: 0 };
  for (const { blocks, bytes } of due) {
    sum.blocks += blocks;
    sum.bytes += bytes;
  }
  return sum;
}
