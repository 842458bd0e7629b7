/**
 * Threads for whole tasks that take longer than the main thread may be away: images of the state, checksums. The only
 * importer of piscina. Threads are started when there is a task, and end when there was none for a while.
 *
 * A task is a module with a function `runTask`, which takes the request and resolves with plain data. It talks while it runs over a
 * MessagePort of its own, which its caller puts into the request.
 */

import type { MessagePort } from "node:worker_threads";
import { Piscina } from "piscina";

export interface TaskThreadsOptions {
  /** Tasks that run at the same time; more wait, in order. */
  readonly threadsMax: number;
  /** Tasks that may wait. Over it `run` rejects. */
  readonly waitingMax: number;
  /** A thread without a task ends after this time, ms. */
  readonly idleMs: number;
}

/** Each is rare and asked for by one owner: one takes an image, one fills another, one digests. */
export const TASK_THREADS_DEFAULTS: TaskThreadsOptions = {
  threadsMax: 3,
  waitingMax: 8,
  idleMs: 10_000,
};

export class TaskThreads {
  readonly #pool: Piscina;

  constructor(options: Partial<TaskThreadsOptions> = {}) {
    const { threadsMax, waitingMax, idleMs } = { ...TASK_THREADS_DEFAULTS, ...options };
    this.#pool = new Piscina({
      name: "runTask",
      minThreads: 0,
      maxThreads: threadsMax,
      maxQueue: waitingMax,
      idleTimeout: idleMs,
      concurrentTasksPerWorker: 1,
      // An idle thread shall keep its event loop: LMDB closes environments in it.
      atomics: "disabled",
      recordTiming: false,
    });
  }

  /**
   * Runs the task of a module with `request`; `ports` in it are transferred.
   * Errors: what the task throws, as an Error of its message; the queue is full; the thread died.
   */
  run<T>(entry: URL, request: object, ports: readonly MessagePort[]): Promise<T> {
    return this.#pool.run(request, {
      filename: entry.href,
      transferList: [...ports],
    }) as Promise<T>;
  }

  /** Ends the threads. Whoever has tasks has told them to end before. */
  close(): Promise<void> {
    return this.#pool.destroy();
  }
}
