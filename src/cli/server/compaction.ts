/** Compaction on a node, put together: the coordinator, its planner's thread, its metrics, and the way of polls to it. */
import { type Logger, SYSTEM_CLOCK, SYSTEM_SCHEDULER } from "../../base/index.ts";
import type { Config } from "../../config/index.ts";
import type { IndexDatabase } from "../../db/index.ts";
import { CompactionCoordinator, COORDINATOR_DEFAULTS, ThreadPlanner } from "../../leader/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import type { Replica } from "../../replica/index.ts";
import type { PollPort } from "../../server/index.ts";
import type { AddressBook } from "../../service/index.ts";
import type { StateMachine } from "../../state/index.ts";
import { collectBacklog } from "./collect-backlog.ts";
import { collectCompaction } from "./collect-compaction.ts";
import { initialPolicy } from "./server-options.ts";

export interface NodeCompactionModules {
  readonly replica: Replica;
  readonly stateMachine: StateMachine;
  readonly db: IndexDatabase;
  readonly book: Pick<AddressBook, "translate">;
  readonly metrics: MetricRegistry;
  readonly logger: Logger;
}

export class NodeCompaction {
  /** For reader threads: names leaders by the address that clients use. */
  readonly polls: PollPort;
  readonly #coordinator: CompactionCoordinator;

  constructor(config: Config, modules: NodeCompactionModules) {
    const mapSizeBytes = config.storage.indexMapBytes;
    const options = { ...COORDINATOR_DEFAULTS, initialPolicy: initialPolicy(config) };
    const { replica, stateMachine, db, book, logger, metrics } = modules;
    const coordinator = new CompactionCoordinator(options, {
      replica,
      state: stateMachine,
      database: () => ({ directory: db.directory, mapSizeBytes, generation: db.generation }),
      planner: new ThreadPlanner(),
      clock: SYSTEM_CLOCK,
      scheduler: SYSTEM_SCHEDULER,
      logger,
    });
    this.#coordinator = coordinator;
    this.polls = {
      poll: (payload, waitMs, done) =>
        coordinator.poll(payload, waitMs, (result) =>
          done(
            result.ok ? result : { ok: false, error: book.translate(result.error, "websocket") },
          ),
        ),
    };
    const { compaction } = stateMachine;
    const nowMs = (): number => SYSTEM_CLOCK.nowMs();
    collectCompaction(metrics, { compaction, coordinator, nowMs });
    collectBacklog(metrics, { stateMachine, nowMs });
  }

  stop(): Promise<void> {
    return this.#coordinator.stop();
  }
}
