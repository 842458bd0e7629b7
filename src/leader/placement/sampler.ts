/**
 * Takes along what writers propose, for the thread of the placement to look into. Nothing is decoded here: a proposal is
 * copied when its turn comes, and handed over once a second.
 *
 * Above a budget of bytes only every n-th proposal is taken, and counts n times, so that a busy leader pays for the
 * placement what a quiet one does. What is kept is bounded in any case: when it grows over the budget of a few
 * seconds every second part of it is let go, and the rest counts twice.
 */

import type { Scheduler } from "../../base/index.ts";

export interface SamplerOptions {
  /** Between two hand-overs. */
  readonly intervalMs: number;
  /** Bytes taken per interval. */
  readonly budgetBytes: number;
}

export const SAMPLER_DEFAULTS: SamplerOptions = {
  intervalMs: 1_000,
  // 700 blocks of 10 datasets, each exactly; looking into them takes the thread 4 ms.
  budgetBytes: 1024 * 1024,
};

export interface SampleBatch {
  /** Entries back to back, owned by whoever gets them. */
  readonly body: Uint8Array;
  /** How many proposals each of them stands for. */
  readonly weight: number;
}

export interface SamplerModules {
  readonly scheduler: Scheduler;
  /** Resolves when it may have the next batch. */
  readonly send: (batch: SampleBatch) => Promise<void>;
}

/** Budgets that may wait while the thread is busy. */
const KEPT_MAX_BUDGETS = 4;
/** Proposals are of any size up to the largest frame; one like this says enough by itself. */
const PROPOSAL_MAX_BYTES = 4 * 1024 * 1024;

export class PlacementSampler {
  readonly #options: SamplerOptions;
  readonly #modules: SamplerModules;
  #cancelTimer: (() => void) | null = null;
  #isRunning = false;
  #isSending = false;
  #parts: Uint8Array[] = [];
  #keptBytes = 0;
  /** Every n-th proposal is taken. */
  #stride = 1;
  #seen = 0;
  /** Batches of which the thread could take none, since the start. */
  failedBatches = 0;

  constructor(options: SamplerOptions, modules: SamplerModules) {
    this.#options = options;
    this.#modules = modules;
  }

  start(): void {
    this.#isRunning = true;
  }

  stop(): void {
    this.#isRunning = false;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#forget();
    this.#stride = 1;
  }

  /** A copy of the proposal if its turn has come, to be given to `keep` when it was applied. `body` is borrowed. */
  take(body: Uint8Array): Uint8Array | null {
    if (!this.#isRunning || ++this.#seen % this.#stride !== 0) return null;
    return body.length > PROPOSAL_MAX_BYTES ? null : body.slice();
  }

  keep(copy: Uint8Array): void {
    if (!this.#isRunning) return;
    this.#parts.push(copy);
    this.#keptBytes += copy.length;
    if (this.#keptBytes > KEPT_MAX_BUDGETS * this.#options.budgetBytes) this.#thin();
    this.#cancelTimer ??= this.#modules.scheduler.after(this.#options.intervalMs, () => {
      this.#cancelTimer = null;
      this.#handOver();
    });
  }

  #handOver(): void {
    if (this.#isSending) {
      this.#cancelTimer = this.#modules.scheduler.after(this.#options.intervalMs, () => {
        this.#cancelTimer = null;
        this.#handOver();
      });
      return;
    }
    const batch = { body: concatenated(this.#parts, this.#keptBytes), weight: this.#stride };
    const wanted = Math.ceil((this.#keptBytes * this.#stride) / this.#options.budgetBytes);
    this.#stride = Math.max(1, wanted);
    this.#forget();
    this.#isSending = true;
    void this.#modules
      .send(batch)
      .catch(() => {
        this.failedBatches++;
      })
      .finally(() => {
        this.#isSending = false;
      });
  }

  #thin(): void {
    this.#parts = this.#parts.filter((_part, i) => i % 2 === 1);
    this.#keptBytes = this.#parts.reduce((sum, { length }) => sum + length, 0);
    this.#stride *= 2;
  }

  #forget(): void {
    this.#parts = [];
    this.#keptBytes = 0;
  }
}

function concatenated(parts: readonly Uint8Array[], sizeBytes: number): Uint8Array {
  const whole = new Uint8Array(sizeBytes);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
