/**
 * `AbortSignal.timeout` that can be combined: `AbortSignal.any` holds its sources weakly, and Node.js 20 collects a timeout that
 * nothing else holds before it fires, so that what it should end hangs for ever. Here the timer holds the signal. It keeps no
 * process alive.
 */
export function timeoutSignal(timeoutMs: number): AbortSignal {
  const controller = new AbortController();
  const end = (): void =>
    controller.abort(new DOMException("The operation timed out", "TimeoutError"));
  setTimeout(end, timeoutMs).unref();
  return controller.signal;
}
