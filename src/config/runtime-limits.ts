/**
 * Limits per tenant while the process runs: the files are looked at again and again, and what they say counts from then
 * on as a whole. A bad file changes nothing: the last good one stays, and is told of once per mistake, not per look.
 */
import { open } from "node:fs/promises";
import type { Logger, Scheduler } from "../base/index.ts";
import { buildLimits, type LimitValues, type TenantLimits } from "./limits.ts";
import { RUNTIME_FILE_MAX_BYTES, type RuntimeFiles, type RuntimeText } from "./runtime-file.ts";
import type { Problem } from "./types.ts";

/** Who writes a file in place empties it first: what was read must still stand there after this. */
const SETTLE_MS = 200;

/** The module of the task that reads the files (runtime-thread.ts), for a thread that runs tasks. */
export const RUNTIME_PARSE_TASK = new URL(
  `./runtime-thread${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`,
  import.meta.url,
);

export interface RuntimeLimitsOptions {
  /** As the user named them; none: only the global limits, for ever. */
  readonly files: readonly string[];
  readonly reloadPeriodMs: number;
  readonly global: LimitValues;
  /** What the check before the start has read; without errors. */
  readonly initial: Pick<RuntimeFiles, "tenants">;
}

export interface RuntimeLimitsModules {
  readonly logger: Logger;
  readonly scheduler: Scheduler;
  /** Unix ms. */
  readonly nowMs: () => number;
  /** After every look that found something new: whether it was good. */
  readonly onReload?: (isGood: boolean) => void;
  /** Reads the texts as `parseRuntimeFiles` does, away from this thread: a megabyte takes a second or two. */
  readonly parse: (texts: readonly RuntimeText[]) => Promise<RuntimeFiles>;
  /** Replaced in tests. */
  readonly readFile?: (file: string) => Promise<string>;
}

export class RuntimeLimits {
  /** Limits of a tenant without an entry. */
  readonly global: TenantLimits;
  readonly #options: RuntimeLimitsOptions;
  readonly #modules: RuntimeLimitsModules;
  #own: ReadonlyMap<string, LimitValues>;
  #built = new Map<string, TenantLimits>();
  #problems: readonly Problem[] = [];
  #loadedAtMs: number;
  /** What was judged last, good or bad: the same is not judged again. Null: only by the check before the start. */
  #judged: string | null = null;
  #cancel: (() => void) | null = null;
  #isRunning = false;

  constructor(options: RuntimeLimitsOptions, modules: RuntimeLimitsModules) {
    this.#options = options;
    this.#modules = modules;
    this.global = buildLimits(new Map(), options.global);
    this.#own = options.initial.tenants;
    this.#loadedAtMs = modules.nowMs();
  }

  /** Limits of a tenant now; the same object until the files say something else. Cost: one look-up. */
  of(tenant: string): TenantLimits {
    const own = this.#own.get(tenant);
    if (own === undefined) return this.global;
    const known = this.#built.get(tenant);
    if (known !== undefined) return known;
    const limits = buildLimits(own, this.#options.global);
    this.#built.set(tenant, limits);
    return limits;
  }

  /** Tenants with an entry, sorted. */
  get tenants(): string[] {
    return [...this.#own.keys()].sort();
  }

  /** Only what an entry names; null for a tenant without one. */
  ownValues(tenant: string): LimitValues | null {
    return this.#own.get(tenant) ?? null;
  }

  get globalValues(): LimitValues {
    return this.#options.global;
  }

  /** Problems of the newest look; empty: what counts is what stands in the files. */
  get problems(): readonly Problem[] {
    return this.#problems;
  }

  /** When the limits that count were read, Unix ms. */
  get loadedAtMs(): number {
    return this.#loadedAtMs;
  }

  /** Begins to look at the files. Repeating it is harmless. */
  start(): void {
    if (this.#isRunning || this.#options.files.length === 0) return;
    this.#isRunning = true;
    this.#plan();
  }

  stop(): void {
    this.#isRunning = false;
    this.#cancel?.();
    this.#cancel = null;
  }

  #plan(): void {
    if (!this.#isRunning) return;
    const { reloadPeriodMs } = this.#options;
    this.#cancel = this.#modules.scheduler.after(reloadPeriodMs, () => {
      void this.reload().finally(() => this.#plan());
    });
  }

  /** One look at the files, which `start` repeats. Never rejects. */
  async reload(): Promise<void> {
    const first = await this.#readAll();
    if (first.judgement === this.#judged) return;
    await this.#settle();
    const texts = await this.#readAll();
    // Still being written: the next look will see what comes of it.
    if (texts.judgement !== first.judgement) return;
    const files = await this.#parse(texts);
    if (files === null) return;
    this.#judged = texts.judgement;
    this.#judge(files);
  }

  /** Null: the thread is gone; the next look tries again. */
  async #parse({ texts, problems }: Reading): Promise<RuntimeFiles | null> {
    try {
      const files = await this.#modules.parse(texts);
      return { ...files, problems: [...problems, ...files.problems] };
    } catch (error) {
      this.#modules.logger.warn("runtime limits were not read", { reason: String(error) });
      return null;
    }
  }

  #judge(files: RuntimeFiles): void {
    this.#problems = files.problems;
    const isGood = !this.#problems.some(({ severity }) => severity === "error");
    if (isGood) this.#take(files);
    else this.#complain();
    this.#modules.onReload?.(isGood);
  }

  #take(files: RuntimeFiles): void {
    this.#own = files.tenants;
    this.#built = new Map();
    this.#loadedAtMs = this.#modules.nowMs();
    this.#modules.logger.info("runtime limits read", {
      files: this.#options.files.join(","),
      tenants: files.tenants.size,
    });
  }

  #complain(): void {
    const { logger } = this.#modules;
    for (const { place, message } of this.#problems.slice(0, PROBLEMS_LOGGED_MAX)) {
      logger.warn("runtime limits stay as they were", { place, problem: message });
    }
  }

  async #readAll(): Promise<Reading> {
    const texts: RuntimeText[] = [];
    const problems: Problem[] = [];
    for (const file of this.#options.files) {
      try {
        texts.push({ file, text: await (this.#modules.readFile ?? readRuntimeFile)(file) });
      } catch (error) {
        problems.push(unreadable(file, error));
      }
    }
    return { texts, problems, judgement: JSON.stringify([texts, problems]) };
  }

  #settle(): Promise<void> {
    return new Promise((resolve) => {
      this.#modules.scheduler.after(SETTLE_MS, resolve);
    });
  }
}

/** A file full of mistakes must not fill the log: all of them are in /runtime_config. */
const PROBLEMS_LOGGED_MAX = 10;

interface Reading {
  readonly texts: readonly RuntimeText[];
  readonly problems: readonly Problem[];
  /** Equal for two looks that found the same. */
  readonly judgement: string;
}

const FILE_REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is none of that name",
  EACCES: "this user may not read it",
  EISDIR: "it is a directory",
  ENOTDIR: "a part of its path is no directory",
};

export function unreadable(file: string, error: unknown): Problem {
  const { code = "" } = error as NodeJS.ErrnoException;
  const reason = FILE_REASONS[code] ?? (error instanceof Error ? error.message : String(error));
  return { severity: "error", place: file, message: `Cannot read the file: ${reason}` };
}

/** Errors: those of the file system, and one for a file that is too large to be read on this thread. */
async function readRuntimeFile(file: string): Promise<string> {
  const handle = await open(file, "r");
  try {
    const sizeBytes = (await handle.stat()).size;
    if (sizeBytes > RUNTIME_FILE_MAX_BYTES)
      throw new Error(`${sizeBytes} bytes, limit is ${RUNTIME_FILE_MAX_BYTES}`);
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}
