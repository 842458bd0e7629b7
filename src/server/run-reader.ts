/**
 * Runs a reader in the thread it is called in (workerData: ReaderSettings). Its one rule: no way out of the thread while
 * a socket is open, since a thread that ends with one takes the whole process down. Hence the handlers for uncaught
 * errors, and main never terminates a reader.
 */

import { getPriority, setPriority } from "node:os";
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import {
  assert,
  type LogFields,
  type LogLevel,
  type Logger,
  toHearthError,
} from "../base/index.ts";
import type { Edge, EdgeServices } from "../service/index.ts";
import {
  type Done,
  type FromReader,
  type ReaderSettings,
  toPlainError,
  type ToReader,
} from "./messages.ts";
import { Reader } from "./reader.ts";

/** Makes the further protocol of a thread from what main gave as its settings. */
export type EdgeFactory = (
  settings: object,
  services: EdgeServices,
  place: { readonly reader: number },
) => Edge;

/** Added to the nice value of the process: a third of a share where main has a whole one. */
const READER_NICENESS = 5;
const NICENESS_MAX = 19;

/**
 * Where processors are short, what decides comes before what answers: a leader that stands in line behind its own readers
 * is taken for dead by the others. Linux alone has priorities for single threads.
 */
function yieldToMain(): void {
  if (process.platform !== "linux") return;
  try {
    setPriority(0, Math.min(NICENESS_MAX, getPriority(0) + READER_NICENESS));
  } catch {
    // A sandbox may forbid it: then all threads are equal.
  }
}

/** Once per thread; it ends when main says so. */
export async function runReader(createEdge?: EdgeFactory): Promise<void> {
  assert(!isMainThread && parentPort !== null, "A reader runs in a thread of its own");
  const port = parentPort;
  yieldToMain();
  const settings = workerData as ReaderSettings;
  let reader: Reader | null = null;
  const post = (message: FromReader): void => port.postMessage(message);

  /** A bug: what this thread knows may be wrong, so it ends and the pool starts another. */
  const crash = (cause: unknown): void => {
    const error = cause instanceof Error ? cause : new Error(String(cause));
    reader?.closeSockets();
    post({ kind: "crashed", message: error.message, stack: error.stack ?? "" });
    // Ends this thread only; with the sockets closed that is safe.
    process.exit(1);
  };
  process.on("uncaughtException", crash);
  process.on("unhandledRejection", crash);

  port.on("message", (message: ToReader) => {
    if (isDone(message)) {
      reader?.done(message);
      return;
    }
    void reader?.receive(message).then(() => {
      // With the port closed nothing is left to wait for: the thread ends by itself, with 0.
      if (message.kind === "stop") port.close();
    });
  });

  try {
    const { edge, reader: position } = settings;
    reader = new Reader(settings, {
      port,
      logger: threadLogger("server", position, post),
      createEdge:
        edge === null || createEdge === undefined
          ? undefined
          : (services) => createEdge(edge, services, { reader: position }),
    });
    const { transport, port: boundPort } = await reader.start();
    post({ kind: "ready", transport, port: boundPort });
  } catch (error) {
    reader?.closeSockets();
    post({ kind: "failed", error: toPlainError(toHearthError(error)) });
    port.close();
  }
}

function isDone(message: ToReader): message is Done {
  return Array.isArray(message);
}

/** Log lines go to main, which owns the output. */
function threadLogger(module: string, reader: number, post: (message: FromReader) => void): Logger {
  const say =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}) =>
      post({ kind: "log", level, message, fields: { module, reader, ...fields } });
  return {
    debug: say("debug"),
    info: say("info"),
    warn: say("warn"),
    error: say("error"),
    child: (name) => threadLogger(`${module}.${name}`, reader, post),
  };
}
