/** A violated invariant, by name: what a seed is reported and shrunk by. */
export class Violation extends Error {
  /** The first one of the run; also when somebody in between has caught it. */
  static first: Violation | null = null;
  override readonly name = "Violation";
  readonly invariant: string;

  constructor(invariant: string, detail: string) {
    super(`${invariant}: ${detail}`);
    this.invariant = invariant;
    Violation.first ??= this;
  }
}

/** A bug of the simulator itself: never counted as a violation of the system. */
export class HearthSimError extends Error {
  override readonly name = "HearthSimError";
}

export function violated(invariant: string, detail: string): never {
  throw new Violation(invariant, detail);
}

/** `detail` is only put together when the check fails. */
export function check(holds: boolean, invariant: string, detail: () => string): void {
  if (!holds) throw new Violation(invariant, detail());
}
