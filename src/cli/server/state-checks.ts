/**
 * Comparing the states of the members, as far as a node has a part in it beside its state machine: the leader asks for a
 * check every now and then, reports go to the leader, and a node whose state is wrong stops and says so at every start.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  formatCount,
  HearthError,
  type Logger,
  type Scheduler,
  SYSTEM_SCHEDULER,
} from "../../base/index.ts";
import type { Config } from "../../config/index.ts";
import type { IndexDatabase } from "../../db/index.ts";
import { replaceFile } from "../../files/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import {
  appendEntry,
  ByteSink,
  COMMAND,
  encodeStateCheck,
  type StateCheck,
} from "../../protocol/index.ts";
import type { Proposer } from "../../server/index.ts";
import type { ClusterControl } from "../../service/index.ts";
import { type Divergence, STATE_CHECK_DEFAULTS, StateChecks } from "../../state/index.ts";
import type { TaskThreads } from "../../tasks/index.ts";
import { collectChecks } from "./collectors.ts";

/** Between the request to get ready and the mark: starting a thread and opening the index takes well under a second. */
const PREPARE_MS = 3_000;

export interface CheckTimerModules {
  readonly proposer: Pick<Proposer, "propose">;
  readonly control: Pick<ClusterControl, "view">;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** Asks for a check every `intervalMs` while this node leads others; 0: never. */
export class CheckTimer {
  readonly #intervalMs: number;
  readonly #modules: CheckTimerModules;
  #cancel: () => void = () => {};

  constructor(intervalMs: number, modules: CheckTimerModules) {
    this.#intervalMs = intervalMs;
    this.#modules = modules;
  }

  start(): void {
    if (this.#intervalMs > 0) this.#after(this.#intervalMs, () => this.#prepare());
  }

  stop(): void {
    this.#cancel();
  }

  #prepare(): void {
    if (!this.#isLeaderOfOthers()) {
      this.start();
      return;
    }
    proposeCheck({ kind: "prepare" }, this.#modules);
    this.#after(PREPARE_MS, () => {
      if (this.#isLeaderOfOthers()) proposeCheck({ kind: "mark" }, this.#modules);
      this.start();
    });
  }

  #isLeaderOfOthers(): boolean {
    const { voters, members } = this.#modules.control.view();
    return voters > 1 && members.some(({ isSelf, isLeader }) => isSelf && isLeader);
  }

  #after(delayMs: number, task: () => void): void {
    this.#cancel = this.#modules.scheduler.after(delayMs, task);
  }
}

/** Into the log, by way of the leader. One that is lost costs one check. */
export function proposeCheck(
  check: StateCheck,
  { proposer, logger }: Pick<CheckTimerModules, "proposer" | "logger">,
): void {
  const sink = new ByteSink();
  const payload = encodeStateCheck(check);
  appendEntry(sink, COMMAND.checkState, payload);
  const body = new Uint8Array(sink.view());
  const deadlineAtMs = Number.POSITIVE_INFINITY;
  proposer.propose({ body, count: 1, termAtLeast: 0, appendedAtMs: 0, deadlineAtMs }, (result) => {
    if (result.ok) return;
    logger.debug("a state check was not logged", { kind: check.kind, reason: result.error.reason });
  });
}

export interface NodeCheckModules {
  readonly db: IndexDatabase;
  readonly threads: TaskThreads;
  readonly peers: { readonly proposer: Pick<Proposer, "propose">; readonly control: Control };
  readonly nodeId: string;
  readonly metrics: MetricRegistry;
  readonly logger: Logger;
  readonly onFatal: (error: HearthError) => void;
}

type Control = Pick<ClusterControl, "view">;

/** Runs from its making on, until `stop`. */
export class NodeStateChecks {
  readonly checks: StateChecks;
  readonly #timer: CheckTimer;

  constructor(config: Config, modules: NodeCheckModules) {
    const { db, threads, peers, nodeId, metrics, logger, onFatal } = modules;
    const { proposer, control } = peers;
    this.checks = new StateChecks(STATE_CHECK_DEFAULTS, {
      db,
      mapSizeBytes: config.storage.indexMapBytes,
      threads,
      logger,
      node: nodeId,
      voters: () => votersOf(control),
      report: (report) => proposeCheck(report, { proposer, logger }),
      onDiverged: (divergence) => onFatal(recordDivergence(config.node.logDirectory, divergence)),
    });
    collectChecks(metrics, this.checks);
    const scheduler = SYSTEM_SCHEDULER;
    const { checkIntervalMs } = config.cluster;
    this.#timer = new CheckTimer(checkIntervalMs, { proposer, control, scheduler, logger });
    this.#timer.start();
  }

  stop(): void {
    this.#timer.stop();
    this.checks.stop();
  }
}

function votersOf(control: Control): readonly string[] {
  const voters = control.view().members.filter(({ suffrage }) => suffrage !== "learner");
  return voters.map(({ nodeId }) => nodeId);
}

const RECORD_FILE = "diverged.json";

/** Survives the process: a state that is wrong must not serve after a restart either. */
export function recordDivergence(directory: string, divergence: Divergence): HearthError {
  const path = join(directory, RECORD_FILE);
  replaceFile(path, `${JSON.stringify(divergence)}\n`);
  return divergedError(divergence, path);
}

/** Errors: `failed_precondition` while a record of an earlier process is there. */
export function assertNotDiverged(directory: string): void {
  const path = join(directory, RECORD_FILE);
  if (!existsSync(path)) return;
  let divergence: Divergence = { atIndex: 0, lastEqualIndex: 0, tables: [] };
  try {
    divergence = { ...divergence, ...(JSON.parse(readFileSync(path, "utf8")) as Divergence) };
  } catch {
    // Somebody has written into it; that it is there says enough.
  }
  throw divergedError(divergence, path);
}

function divergedError({ atIndex, lastEqualIndex, tables }: Divergence, path: string): HearthError {
  const since =
    lastEqualIndex === 0
      ? "it is not known where they were last equal"
      : `they were equal at log index ${formatCount(lastEqualIndex)}`;
  return new HearthError(
    "failed_precondition",
    `The state of this node differs from that of the majority at log index ${formatCount(atIndex)} (${tables.join(", ")}); ${since}`,
    {
      reason: "state_diverged",
      next:
        "Remove this member, and add it again with empty directories. " +
        `If its data is to be looked into first, keep a copy; ${path} is what stops the start`,
    },
  );
}
