/**
 * Brings home what segment writers left in the bucket while the metastore could not be reached (spec
 * retention-dlq-placement, B): every outcome of its table, several entries at a time.
 *
 *   list ──page──> lanes: read ──> decode, check ──> propose ──> delete
 *                           │             │              │
 *                    keep, back off   too young: keep    └─ leadership gone, cancelled: the sweep ends
 *                                     else: put aside (or delete), after a second look
 *
 * Whatever is repeated is harmless: a block that is in the index already is a success, and so is a deleted object that is
 * deleted again. So a crash, or a rival leader, at any point leaves nothing lost and nothing twice.
 */
import {
  type Clock,
  formatCount,
  HearthError,
  inLanes,
  isHearthError,
  type Logger,
  type Scheduler,
  toHearthError,
} from "../../base/index.ts";
import type { ProposeResult, Replica } from "../../replica/index.ts";
import type { ObjectInfo, ObjectStore } from "../../storage/index.ts";
import { ACTIVITY_OUTCOME, type ActivityResult, type ActivityRun } from "../activities/index.ts";
import {
  DLQ_PREFIX,
  parseEntryKey,
  QUARANTINE_PREFIX,
  quarantineKey,
  reasonKey,
} from "./entry-key.ts";
import { EntryMemory } from "./memory.ts";
import { DLQ_STATUSES, type DlqStatus, EntryReader, statusOfRefusal } from "./read-entry.ts";

export interface DlqOptions {
  /** 0: switched off. */
  readonly intervalMs: number;
  /** What becomes of entries that can never be added: put aside, or deleted as the reference does. */
  readonly badEntries: "quarantine" | "delete";
  /** Entries under way at the same time. */
  readonly parallelMax: number;
  /** An entry younger than this may still be on its way into the bucket, and is left alone. */
  readonly settleMs: number;
  /** One that is empty, broken or refused is judged only when it has been so for this long. */
  readonly judgeAfterMs: number;
  /** Entries of one sweep; the next one goes on where it stopped. */
  readonly entriesPerSweepMax: number;
}

export const DLQ_DEFAULTS = {
  badEntries: "quarantine",
  // One lane waits for the disk of the log and for the bucket most of the time. Twice of what a store reads at a time: while
  // one half is read or deleted the other is written to the log.
  parallelMax: 64,
  settleMs: 1_000,
  judgeAfterMs: 60_000,
  entriesPerSweepMax: 100_000,
} as const;

export interface DlqModules {
  readonly store: ObjectStore;
  readonly replica: Pick<Replica, "propose">;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

export interface DlqStatusView {
  /** Entries left by the newest sweep; null: none ended yet. */
  readonly entries: number | null;
  /** How long the oldest of them has been there, ms. */
  readonly oldestAgeMs: number;
  /** Objects put aside, as far as they were counted. */
  readonly quarantined: number | null;
  readonly attempts: Readonly<Record<DlqStatus, number>>;
}

/** An entry may hold a block with everything in it; the wire allows 8 MiB. */
const ENTRY_MAX_BYTES = 16 * 1024 * 1024;
/** Objects of other shapes below `dlq/` are told of one by one up to this. */
const STRAYS_LOGGED_MAX = 5;
const QUARANTINED_COUNT_MAX = 100_000;

class SweepEnded extends Error {
  readonly status: DlqStatus;

  constructor(status: DlqStatus, message: string) {
    super(message);
    this.status = status;
  }
}

interface Sweep {
  readonly run: ActivityRun;
  readonly counts: Record<DlqStatus, number>;
  left: number;
  oldestAtMs: number;
  seen: number;
  /** Some entry settles soon. */
  isUnsettled: boolean;
}

export class DlqRecovery {
  readonly #options: DlqOptions;
  readonly #modules: DlqModules;
  readonly #reader = new EntryReader();
  readonly #memory = new EntryMemory();
  readonly #attempts = noCounts();
  #entries: number | null = null;
  #oldestAtMs = Number.POSITIVE_INFINITY;
  #quarantined: number | null = null;
  #term = 0;
  /** Where a sweep that was too long stopped. */
  #after = "";

  constructor(options: DlqOptions, modules: DlqModules) {
    this.#options = options;
    this.#modules = modules;
  }

  status(): DlqStatusView {
    const isEmpty = this.#oldestAtMs === Number.POSITIVE_INFINITY;
    const oldestAgeMs = isEmpty ? 0 : Math.max(0, this.#modules.clock.nowMs() - this.#oldestAtMs);
    const attempts = { ...this.#attempts };
    return { entries: this.#entries, oldestAgeMs, quarantined: this.#quarantined, attempts };
  }

  /** One sweep. Errors: those of the list. */
  async run(run: ActivityRun): Promise<ActivityResult> {
    if (run.term !== this.#term) this.#begin(run.term);
    const sweep: Sweep = {
      run,
      counts: noCounts(),
      left: 0,
      oldestAtMs: Number.POSITIVE_INFINITY,
      seen: 0,
      isUnsettled: false,
    };
    let stopped: SweepEnded | null = null;
    let isWhole = false;
    try {
      this.#quarantined ??= await this.#countQuarantined(run.signal);
      isWhole = await this.#sweep(sweep);
    } catch (error) {
      if (!(error instanceof SweepEnded)) throw error;
      stopped = error;
    } finally {
      for (const status of DLQ_STATUSES) this.#attempts[status] += sweep.counts[status];
    }
    return stopped === null ? this.#report(sweep, isWhole) : ended(stopped);
  }

  #begin(term: number): void {
    this.#term = term;
    this.#memory.clear();
    this.#after = "";
    this.#quarantined = null;
  }

  /** Whether the list was read to its end. */
  async #sweep(sweep: Sweep): Promise<boolean> {
    const { store } = this.#modules;
    const { entriesPerSweepMax } = this.#options;
    const { signal } = sweep.run;
    const wasContinued = this.#after !== "";
    const options = { prefix: DLQ_PREFIX, after: this.#after, signal, removesEmpty: true };
    for await (const page of store.list(options)) {
      await inLanes(page, this.#options.parallelMax, (info) => this.#takeEntry(sweep, info));
      sweep.seen += page.length;
      if (sweep.seen < entriesPerSweepMax) continue;
      this.#after = page.at(-1)?.key ?? "";
      return false;
    }
    this.#after = "";
    // Only a whole list says how many there are.
    if (wasContinued) return false;
    this.#entries = sweep.left;
    this.#oldestAtMs = sweep.oldestAtMs;
    return true;
  }

  async #takeEntry(sweep: Sweep, info: ObjectInfo): Promise<void> {
    const key = parseEntryKey(info.key);
    if (key === null) {
      this.#noteStray(sweep, info);
      return;
    }
    const { clock, scheduler } = this.#modules;
    const ageMs = this.#memory.ageOf(info, clock.nowMs(), scheduler.monotonicMs());
    if (ageMs < this.#options.settleMs) {
      sweep.isUnsettled = true;
      this.#keep(sweep, info, "unsettled", false);
      return;
    }
    if (!this.#memory.mayTry(info.key, scheduler.monotonicMs())) {
      this.#leave(sweep, info);
      return;
    }
    const bytes = await this.#read(sweep, info);
    if (bytes === null) return;
    if (bytes.length === 0)
      return this.#judge(sweep, info, { status: "empty", why: "It is empty", ageMs });
    const entry = this.#reader.read(bytes, key);
    if (entry.kind !== "block") {
      const status = entry.kind === "invalid" ? "invalid_metadata" : "unmarshal_error";
      return this.#judge(sweep, info, { status, why: entry.reason, ageMs });
    }
    await this.#add(sweep, info, entry.body, ageMs);
  }

  async #read(sweep: Sweep, info: ObjectInfo): Promise<Uint8Array | null> {
    const { signal } = sweep.run;
    try {
      const options = { signal, maxBytes: ENTRY_MAX_BYTES };
      const bytes = await this.#modules.store.get(info.key, options);
      if (bytes === null) sweep.counts.not_found += 1;
      return bytes;
    } catch (error) {
      const code = isHearthError(error) ? error.code : "cancelled";
      if (signal.aborted || code === "cancelled" || code === "deadline_exceeded")
        throw stop(sweep, "canceled", toHearthError(error).message);
      this.#keep(sweep, info, "read_error", true);
      return null;
    }
  }

  async #add(
    sweep: Sweep,
    info: ObjectInfo,
    body: Uint8Array<ArrayBuffer>,
    ageMs: number,
  ): Promise<void> {
    const refusal = await this.#propose(sweep, body);
    if (refusal === null) {
      sweep.counts.success += 1;
      await this.#delete(sweep, info);
      return;
    }
    const status = statusOfRefusal(refusal);
    if (status === "canceled" || status === "leadership_change")
      throw stop(sweep, status, refusal.message);
    if (status === "invalid_metadata")
      return this.#judge(sweep, info, { status, why: refusal.message, ageMs });
    if (status === "tenant_deleted") {
      // The state has judged, and what is deleted is not put aside.
      sweep.counts.tenant_deleted += 1;
      await this.#delete(sweep, info);
      return;
    }
    this.#keep(sweep, info, status, true);
  }

  /** Null: it is in the index, or need not be. */
  #propose({ run }: Sweep, body: Uint8Array<ArrayBuffer>): Promise<HearthError | null> {
    if (!run.isLeading()) {
      const gone = new HearthError("unavailable", "This member does not lead any more");
      return Promise.resolve(gone);
    }
    return new Promise((resolve) => {
      const proposal = { body, bodyBytes: body.length, count: 1 };
      this.#modules.replica.propose(proposal, (result: ProposeResult) => {
        if (!result.ok) resolve(result.error);
        else resolve(rejectionOf(result.rejections.get(0)));
      });
    });
  }

  /** An entry that can never be added: only when it has been so for a while, and is still so at a second look. */
  async #judge(
    sweep: Sweep,
    info: ObjectInfo,
    {
      status,
      why,
      ageMs,
    }: { readonly status: DlqStatus; readonly why: string; readonly ageMs: number },
  ): Promise<void> {
    if (ageMs < this.#options.judgeAfterMs) {
      this.#keep(sweep, info, "unsettled", false);
      return;
    }
    const now = await this.#modules.store.head(info.key, { signal: sweep.run.signal });
    const isSame = now?.sizeBytes === info.sizeBytes && now.modifiedAtMs === info.modifiedAtMs;
    if (!isSame || !sweep.run.isLeading()) {
      this.#keep(sweep, info, "unsettled", false);
      return;
    }
    const { badEntries } = this.#options;
    if (badEntries === "quarantine" && !(await this.#putAside(sweep, info, `${status}: ${why}`))) {
      this.#keep(sweep, info, "read_error", true);
      return;
    }
    sweep.counts[status] += 1;
    const fields = { key: info.key, status, reason: why, action: badEntries };
    this.#modules.logger.warn("a dead letter can never be added", fields);
    await this.#delete(sweep, info);
  }

  /** Copied before it is deleted: a crash in between leaves it twice, never nowhere. */
  async #putAside(sweep: Sweep, info: ObjectInfo, why: string): Promise<boolean> {
    const { store } = this.#modules;
    const { signal } = sweep.run;
    const bytes = await store.get(info.key, { signal, maxBytes: ENTRY_MAX_BYTES });
    if (bytes === null || bytes.length !== info.sizeBytes) return false;
    await store.put(reasonKey(info.key), new TextEncoder().encode(`${why}\n`), { signal });
    await store.put(quarantineKey(info.key), bytes, { signal });
    this.#quarantined = (this.#quarantined ?? 0) + 1;
    return true;
  }

  /** One that fails is met again at the next sweep, as a harmless duplicate. */
  async #delete(sweep: Sweep, info: ObjectInfo): Promise<void> {
    try {
      await this.#modules.store.delete(info.key, { signal: sweep.run.signal });
      this.#memory.forget(info.key);
    } catch (error) {
      this.#leave(sweep, info);
      const { reason } = toHearthError(error);
      this.#modules.logger.debug("a dead letter was not deleted", { key: info.key, reason });
    }
  }

  #noteStray(sweep: Sweep, { key }: ObjectInfo): void {
    sweep.counts.stray += 1;
    if (sweep.counts.stray <= STRAYS_LOGGED_MAX && this.#attempts.stray === 0)
      this.#modules.logger.warn("an object below dlq/ is no dead letter", { key });
  }

  #keep(sweep: Sweep, info: ObjectInfo, status: DlqStatus, isFailure: boolean): void {
    sweep.counts[status] += 1;
    this.#memory.keep(info, this.#modules.scheduler.monotonicMs(), isFailure);
    this.#leave(sweep, info);
  }

  #leave(sweep: Sweep, info: ObjectInfo): void {
    sweep.left += 1;
    sweep.oldestAtMs = Math.min(sweep.oldestAtMs, info.modifiedAtMs);
  }

  async #countQuarantined(signal: AbortSignal): Promise<number> {
    let count = 0;
    for await (const page of this.#modules.store.list({ prefix: QUARANTINE_PREFIX, signal })) {
      count += page.filter(({ key }) => key.endsWith("/meta.pb")).length;
      if (count >= QUARANTINED_COUNT_MAX) break;
    }
    return count;
  }

  #report({ counts, left, isUnsettled }: Sweep, isWhole: boolean): ActivityResult {
    const soonMs = isWhole ? this.#options.settleMs + 500 : 0;
    const isSooner = !isWhole || (isUnsettled && soonMs < this.#options.intervalMs);
    const again = isSooner ? { againAfterMs: soonMs } : {};
    const bad = counts.empty + counts.unmarshal_error + counts.invalid_metadata;
    const gone = counts.tenant_deleted;
    const parts = [
      `recovered ${formatCount(counts.success)}`,
      ...(gone > 0 ? [`deleted ${formatCount(gone)} of deleted tenants`] : []),
      ...(bad > 0 ? [`put aside ${formatCount(bad)}`] : []),
      ...(left > 0 ? [`${formatCount(left)} stay`] : []),
      ...(counts.stray > 0 ? [`${formatCount(counts.stray)} are no dead letters`] : []),
    ];
    const text = `Dead letters: ${parts.join(", ")}`;
    const failed = counts.read_error + counts.metastore_error;
    if (failed > 0) {
      const reason = counts.read_error > 0 ? "dlq_read_error" : "dlq_metastore_error";
      return { outcome: ACTIVITY_OUTCOME.failed, reason, text, ...again };
    }
    const isBusy = counts.success + bad + gone > 0;
    const outcome = isBusy ? ACTIVITY_OUTCOME.done : ACTIVITY_OUTCOME.nothing;
    return { outcome, text, ...again };
  }
}

function noCounts(): Record<DlqStatus, number> {
  return Object.fromEntries(DLQ_STATUSES.map((status) => [status, 0])) as Record<DlqStatus, number>;
}

/** Counted once, however many lanes meet it. */
function stop(sweep: Sweep, status: "canceled" | "leadership_change", message: string): SweepEnded {
  if (sweep.counts.canceled + sweep.counts.leadership_change === 0) sweep.counts[status] += 1;
  return new SweepEnded(status, message);
}

function ended({ status, message }: SweepEnded): ActivityResult {
  const text = `The sweep of dead letters ended early: ${message}`;
  const outcome =
    status === "leadership_change" ? ACTIVITY_OUTCOME.stopped : ACTIVITY_OUTCOME.failed;
  return { outcome, reason: `dlq_${status}`, text };
}

function rejectionOf(reason: string | undefined): HearthError | null {
  if (reason === undefined) return null;
  return new HearthError("failed_precondition", `The state refused it: ${reason}`, { reason });
}
