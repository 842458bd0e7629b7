/** A bug in this process: a broken invariant. Never caught to go on; the process stops and the log brings it back. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Stops on a broken invariant. Stays on in production: continuing from a wrong state costs data. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** What a failed `assert` does, for hot paths where making the message would cost more than the check. */
export function assertFailed(message: string): never {
  throw new AssertionError(message);
}

/** Ends an exhaustive switch. */
export function unreachable(value: never): never {
  throw new AssertionError(`Unreachable: ${JSON.stringify(value)}`);
}
