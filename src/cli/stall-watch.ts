/**
 * Says what long work waits for while nothing of it gets done: a load whose cluster has no leader would look like one
 * that hangs, for as long as its requests are repeated.
 */
import { formatDuration } from "../base/index.ts";
import type { NodeApi } from "./node-api.ts";

/** An election takes less; what takes longer is news. */
const SILENT_MS = 1_000;
/** While it goes on, and also where the node sees nothing wrong: then the work may just be slow. */
const AGAIN_MS = 10_000;

export interface StallModules {
  readonly api: Pick<NodeApi, "readiness">;
  readonly say: (text: string) => void;
  /** Monotonic, ms. */
  readonly clock?: () => number;
}

export class StallWatch {
  readonly #modules: StallModules;
  readonly #clock: () => number;
  #timer: NodeJS.Timeout | null = null;
  #movedAtMs: number;
  #saidAtMs = Number.NEGATIVE_INFINITY;
  #isLooking = false;

  constructor(modules: StallModules) {
    this.#modules = modules;
    this.#clock = modules.clock ?? (() => performance.now());
    this.#movedAtMs = this.#clock();
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), SILENT_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Something got done. Cheap enough to be called for every unit. */
  moved(): void {
    this.#movedAtMs = this.#clock();
    this.#saidAtMs = Number.NEGATIVE_INFINITY;
  }

  /** That nothing got done, and for how long; null: it did just now. */
  get silence(): string | null {
    const silentMs = this.#clock() - this.#movedAtMs;
    if (silentMs < SILENT_MS) return null;
    return `nothing was acknowledged for ${formatDuration(Math.round(silentMs / 1_000) * 1_000)}`;
  }

  /** Says a line if there is one to say. Never rejects. */
  async look(): Promise<void> {
    const movedAtMs = this.#movedAtMs;
    const silentMs = this.#clock() - movedAtMs;
    const isDue = silentMs >= SILENT_MS && this.#clock() - this.#saidAtMs >= AGAIN_MS;
    if (!isDue || this.#isLooking) return;
    this.#isLooking = true;
    const word = await this.#modules.api.readiness().catch(() => null);
    this.#isLooking = false;
    // It may be over by now.
    if (this.#timer === null || this.#movedAtMs !== movedAtMs) return;
    const isWrong = word !== null && !word.isReady;
    if (!isWrong && silentMs < AGAIN_MS) return;
    this.#saidAtMs = this.#clock();
    this.#modules.say([this.silence, word?.text].filter(Boolean).join(": "));
  }
}
