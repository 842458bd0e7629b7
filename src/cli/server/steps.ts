/**
 * Numbered steps of a start or a stop, each with its duration in the log: at three at night the question is which one
 * it hangs in (ux, 10).
 */
import type { LogFields, Logger } from "../../base/index.ts";

export class StepLog {
  readonly #logger: Logger;
  readonly #kind: "start" | "stop";
  readonly #total: number;
  readonly #startedAtMs = performance.now();
  #number = 0;
  #current = "";

  constructor(logger: Logger, kind: "start" | "stop", total: number) {
    this.#logger = logger;
    this.#kind = kind;
    this.#total = total;
  }

  /** What is going on now, in a few words; empty before the first step. */
  get current(): string {
    return this.#current;
  }

  /** Runs one step; `describe` adds fields to its line. A failure is logged with the step and thrown on. */
  async run<T>(
    name: string,
    body: () => T | Promise<T>,
    describe?: (result: T) => LogFields,
  ): Promise<T> {
    this.#number++;
    this.#current = name;
    const startedAtMs = performance.now();
    const step = `${this.#number}/${this.#total}`;
    this.#logger.debug(`${this.#kind} step begins`, { step, what: name });
    try {
      const result = await body();
      const fields = describe?.(result) ?? {};
      this.#logger.info(`${this.#kind} step done`, {
        step,
        what: name,
        ms: since(startedAtMs),
        ...fields,
      });
      return result;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#logger.error(`${this.#kind} step failed`, {
        step,
        what: name,
        ms: since(startedAtMs),
        reason,
      });
      throw error;
    }
  }

  /** Time of all steps so far, ms. */
  get elapsedMs(): number {
    return since(this.#startedAtMs);
  }
}

function since(startedAtMs: number): number {
  return Math.round((performance.now() - startedAtMs) * 10) / 10;
}
