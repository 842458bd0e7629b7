/** Compaction on a node, put together: the coordinator, its planner's thread, its metrics, and the way of polls to it. */
import { type HearthError, type Logger, SYSTEM_CLOCK, SYSTEM_SCHEDULER } from "../../base/index.ts";
import type { Config } from "../../config/index.ts";
import type { IndexDatabase } from "../../db/index.ts";
import { CompactionCoordinator, COORDINATOR_DEFAULTS, ThreadPlanner } from "../../leader/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import type { Replica } from "../../replica/index.ts";
import type { PollPort } from "../../server/index.ts";
import type { PollResult } from "../../service/index.ts";
import type { StateMachine } from "../../state/index.ts";
import { collectBacklog } from "./collect-backlog.ts";
import { collectCompaction } from "./collect-compaction.ts";
import type { Peers } from "./peers.ts";
import { initialPolicy } from "./server-options.ts";

export interface NodeCompactionModules {
  readonly replica: Replica;
  readonly stateMachine: StateMachine;
  readonly db: IndexDatabase;
  readonly peers: Pick<Peers, "book" | "polls" | "self" | "attachPlanner">;
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
    const { replica, stateMachine, db, peers, logger, metrics } = modules;
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
    peers.attachPlanner((payload, done) => void coordinator.poll(payload, 0, done));
    this.polls = {
      poll: (payload, waitMs, done) => {
        const finish = (result: PollResult): void => done(result.ok ? result : refusal(result));
        const { leader } = replica;
        // Who waits for a job waits at the leader itself: it is told where that is.
        const isElsewhere = leader !== "" && leader !== peers.self.id;
        if (isElsewhere && waitMs === 0) {
          peers.polls.forward(leader, new Uint8Array(payload), finish);
          return () => {};
        }
        return coordinator.poll(payload, waitMs, finish);
      },
    };
    /** With the leader, whom the client may reach where this member could not. */
    const refusal = ({ error }: { readonly error: HearthError }): PollResult => {
      const { leader } = replica.status();
      const named = error.leader === null && leader !== null ? error.with({ leader }) : error;
      return { ok: false, error: peers.book.translate(named, "websocket") };
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
