/** The wait of connect(): until the first connection, the end of the time, an abort, or the end of all hope. */
import { HearthError } from "../base/index.ts";
import { aggregate, type Link } from "./link.ts";

export interface FirstConnectionSettings {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Starts the link and waits for its first connection.
 *
 * Errors: `unavailable` that names every endpoint with its reason, and holds their errors as an AggregateError in
 *   `cause`; the code of the failures themselves if no endpoint can ever succeed.
 */
export function firstConnection(link: Link, settings: FirstConnectionSettings): Promise<void> {
  const { timeoutMs, signal } = settings;
  return new Promise<void>((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason);
    const startMs = performance.now();
    let giveUp = (): void => {};
    const finish = (end: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      link.onFailure = null;
      giveUp();
      end();
    };
    const onAbort = (): void => finish(() => reject(signal?.reason));
    const timer = setTimeout(() => finish(() => reject(timedOut(link, timeoutMs))), timeoutMs);
    signal?.addEventListener("abort", onAbort);
    link.onFailure = () => {
      if (!link.isHopeless) return;
      const tookMs = Math.round(performance.now() - startMs);
      finish(() => reject(hopeless(link, tookMs)));
    };
    link.start();
    giveUp = link.whenReady(Number.POSITIVE_INFINITY, {
      resolve: () => finish(resolve),
      reject: (error) => finish(() => reject(error)),
    });
  });
}

function timedOut(link: Link, timeoutMs: number): HearthError {
  const message = `No endpoint answered within ${timeoutMs} ms: ${link.describeFailures()}`;
  return new HearthError("unavailable", message, {
    reason: "no_connection",
    next: "Check that the addresses are those of port 4041 and that a member runs there",
    cause: aggregate(link.failures),
  });
}

function hopeless(link: Link, tookMs: number): HearthError {
  const [first] = link.failures.values();
  const message = `No endpoint can be used (after ${tookMs} ms): ${link.describeFailures()}`;
  return new HearthError(first?.code ?? "unavailable", message, {
    reason: first?.reason,
    next: first?.next ?? undefined,
    cause: aggregate(link.failures),
  });
}
