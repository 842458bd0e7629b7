/** What clients have done and seen. Checks are functions over it, so that tests can hand them broken ones. */

interface Operation {
  readonly client: number;
  readonly key: number;
  /** ms of this process, before the request left. */
  readonly invokedAtMs: number;
  /** ms, when the answer was here; Infinity: never, so it may take effect at any later time. */
  returnedAtMs: number;
}

export const OUTCOME = {
  /** The server said that it is done. */
  acked: "acked",
  /** The server said, or it is certain, that it is not and will not be. */
  refused: "refused",
  /** Anything else. Stays open for ever. */
  unknown: "unknown",
} as const;
export type Outcome = (typeof OUTCOME)[keyof typeof OUTCOME];

/** One attempt to add an element; elements are never tried twice. */
export interface Write extends Operation {
  readonly element: number;
  outcome: Outcome;
  /** Where it stands in the log, 0 unless acked. */
  logIndex: number;
}

/** A strong read that was answered. */
export interface Read extends Operation {
  /** Elements seen, a bit each. */
  readonly seen: number;
  /** What the state that answered had applied; 0: the answer did not say (it was empty). */
  readonly appliedIndex: number;
}

export interface History {
  readonly writes: readonly Write[];
  readonly reads: readonly Read[];
}

/** What a check has found, in words, with the operations that show it. */
export interface Violation {
  readonly check: string;
  readonly text: string;
}

export function describeWrite(write: Write): string {
  const { client, key, element, outcome, logIndex, invokedAtMs, returnedAtMs } = write;
  const place = logIndex === 0 ? "" : ` at index ${logIndex}`;
  return (
    `write of element ${element} to key ${key} by client ${client}: ${outcome}${place}, ` +
    `${invokedAtMs.toFixed(1)} to ${returnedAtMs.toFixed(1)} ms`
  );
}

export function describeRead({ client, key, seen, appliedIndex, ...times }: Read): string {
  const at = appliedIndex === 0 ? "" : ` at index ${appliedIndex}`;
  return (
    `read of key ${key} by client ${client}${at}: ${seen.toString(2)}, ` +
    `${times.invokedAtMs.toFixed(1)} to ${times.returnedAtMs.toFixed(1)} ms`
  );
}
