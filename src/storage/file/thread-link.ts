/**
 * The main thread's side of file-thread.ts. What is asked for while the thread works goes to it together, as the next
 * request: the more there is to do, the fewer messages each operation costs.
 */
import { HearthError } from "../../base/index.ts";
import { TaskThreads } from "../../tasks/index.ts";
import { storageUnavailable } from "../errors.ts";
import type { FileOperation, FileRequest, FileResult, FileValue } from "./messages.ts";

const ENTRY = new URL(
  `./file-thread${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`,
  import.meta.url,
);

/** Of one request: half of what the lanes of a sweep ask for, so that the thread works while the others go on. */
const OPERATIONS_MAX = 32;
/** Over it operations fail. They gather when a mount hangs, since those who gave them up cannot take them back. */
const WAITING_MAX = 10_000;
/** Longer than from one sweep of a full queue to the next page. */
const IDLE_MS = 5_000;

interface Waiting {
  readonly operation: FileOperation;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (value: FileValue) => void;
  readonly reject: (reason: unknown) => void;
}

export class FileThreadLink {
  readonly #root: string;
  readonly #threads = new TaskThreads({ threadsMax: 1, waitingMax: 2, idleMs: IDLE_MS });
  #waiting: Waiting[] = [];
  #isBusy = false;

  constructor(root: string) {
    this.#root = root;
  }

  /**
   * Errors: those of the operation; `storage_unavailable` when the thread died or too much waits for it; the signal's
   * reason before it began.
   */
  run(operation: FileOperation, signal?: AbortSignal): Promise<FileValue> {
    if (this.#waiting.length >= WAITING_MAX) {
      const why = `${WAITING_MAX} operations wait for it`;
      return Promise.reject(storageUnavailable("read", this.#root, why));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ operation, signal, resolve, reject });
      if (this.#isBusy) return;
      this.#isBusy = true;
      // What else this turn asks for goes along.
      queueMicrotask(() => void this.#work());
    });
  }

  close(): Promise<void> {
    return this.#threads.close();
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      const taken = this.#waiting.slice(0, OPERATIONS_MAX);
      this.#waiting = this.#waiting.slice(OPERATIONS_MAX);
      const wanted = taken.filter(({ signal, reject }) => {
        if (signal?.aborted === true) reject(signal.reason);
        return signal?.aborted !== true;
      });
      if (wanted.length > 0) await this.#ask(wanted);
    }
    this.#isBusy = false;
  }

  async #ask(wanted: readonly Waiting[]): Promise<void> {
    const operations = wanted.map(({ operation }) => operation);
    const request: FileRequest = { root: this.#root, operations };
    try {
      const results = await this.#threads.run<FileResult[]>(ENTRY, request, []);
      for (const [i, { resolve, reject }] of wanted.entries()) {
        const result = results[i] as FileResult;
        if (result.ok) resolve(result.value);
        else reject(errorOf(result.failure));
      }
    } catch (error) {
      const failure = storageUnavailable("read", this.#root, error);
      for (const { reject } of wanted) reject(failure);
    }
  }
}

function errorOf({ code, message, reason, next }: Extract<FileResult, { ok: false }>["failure"]) {
  return new HearthError(code, message, { reason, ...(next === null ? {} : { next }) });
}
