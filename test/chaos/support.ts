/** Small histories, written down by hand. */

import { type History, OUTCOME, type Outcome, type Read, type Write } from "./history.ts";

interface WriteShape {
  readonly client?: number;
  readonly key?: number;
  readonly element: number;
  readonly from: number;
  /** Left out: no answer. */
  readonly to?: number;
  readonly outcome?: Outcome;
  readonly index?: number;
}

export function write(shape: WriteShape): Write {
  const { client = 1, key = 0, element, from, to, index = 0 } = shape;
  const outcome = shape.outcome ?? (to === undefined ? OUTCOME.unknown : OUTCOME.acked);
  const returnedAtMs = to ?? Number.POSITIVE_INFINITY;
  return { client, key, element, invokedAtMs: from, returnedAtMs, outcome, logIndex: index };
}

interface ReadShape {
  readonly client?: number;
  readonly key?: number;
  /** Elements seen. */
  readonly sees: readonly number[];
  readonly from: number;
  readonly to: number;
  readonly index?: number;
}

export function read({ client = 2, key = 0, sees, from, to, index = 0 }: ReadShape): Read {
  const seen = sees.reduce((bits, element) => bits | (1 << element), 0);
  return { client, key, seen, invokedAtMs: from, returnedAtMs: to, appliedIndex: index };
}

export function history(...operations: readonly (Write | Read)[]): History {
  return {
    writes: operations.filter((operation): operation is Write => "element" in operation),
    reads: operations.filter((operation): operation is Read => "seen" in operation),
  };
}
