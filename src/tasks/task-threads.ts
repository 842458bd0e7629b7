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
  /** `close` waits at most so long for tasks that were told to end, ms. */
  readonly endMaxMs: number;
}

/** Each is rare and asked for by one owner: one takes an image, one fills another, one digests. */
export const TASK_THREADS_DEFAULTS: TaskThreadsOptions = {
  threadsMax: 3,
  waitingMax: 8,
  idleMs: 10_000,
  // A task looks whether it is still wanted many times a second.
  endMaxMs: 10_000,
};

export class TaskThreads {
  readonly #pool: Piscina;
  readonly #endMaxMs: number;
  readonly #tasks = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(options: Partial<TaskThreadsOptions> = {}) {
    const { threadsMax, waitingMax, idleMs, endMaxMs } = { ...TASK_THREADS_DEFAULTS, ...options };
    this.#endMaxMs = endMaxMs;
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
   * Errors: what the task throws, as an Error of its message; the queue is full; the thread died; `close` was called.
   */
  async run<T>(entry: URL, request: object, ports: readonly MessagePort[]): Promise<T> {
    if (this.#isClosed) throw new Error("The threads for tasks are closed");
    const task = this.#pool.run(request, { filename: entry.href, transferList: [...ports] });
    this.#tasks.add(task);
    try {
      return (await task) as T;
    } finally {
      this.#tasks.delete(task);
    }
  }

  /**
   * Ends the threads, behind the tasks that they have. Whoever has tasks has told them to end before.
   *
   * A thread must not be ended inside a task: LMDB answers with an exception, which a thread that is being ended cannot
   * take, and the process aborts. A task that does not end in time is ended all the same; the process is to end then.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    const ended = Promise.allSettled(this.#tasks);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, this.#endMaxMs)));
    await Promise.race([ended, late]);
    clearTimeout(timer);
    await this.#pool.destroy();
  }
}
