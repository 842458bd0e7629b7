/** The limits per tenant of a running node: read again and again, and whether they could be is a metric. */
import { type Logger, SYSTEM_SCHEDULER } from "../../base/index.ts";
import {
  type Config,
  type LoadResult,
  RUNTIME_PARSE_TASK,
  type RuntimeFiles,
  RuntimeLimits,
  type RuntimeParseRequest,
} from "../../config/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import { TaskThreads } from "../../tasks/index.ts";

export interface RuntimeModules {
  readonly loaded: Pick<LoadResult, "runtime">;
  readonly logger: Logger;
  readonly metrics: MetricRegistry;
}

/** Limits that follow their files until they are closed. */
export class NodeLimits {
  readonly limits: RuntimeLimits;
  readonly #threads = new TaskThreads({ threadsMax: 1, waitingMax: 1, idleMs: 1_000 });

  constructor({ limits }: Pick<Config, "limits">, { loaded, logger, metrics }: RuntimeModules) {
    const tell = (isGood: boolean): void =>
      metrics.set("hearth_config_last_reload_successful", isGood ? 1 : 0);
    this.limits = new RuntimeLimits(
      { ...limits, initial: loaded.runtime },
      {
        logger,
        scheduler: SYSTEM_SCHEDULER,
        nowMs: () => Date.now(),
        onReload: tell,
        parse: (texts) => this.#parse({ texts }),
      },
    );
    tell(true);
    this.limits.start();
  }

  close(): Promise<void> {
    this.limits.stop();
    return this.#threads.close();
  }

  #parse(request: RuntimeParseRequest): Promise<RuntimeFiles> {
    return this.#threads.run(RUNTIME_PARSE_TASK, request, []);
  }
}
