/** What a log under test must hold: one state per operation, and the comparison with what a recovery found. */

import type { DurableLog } from "../../src/log/index.ts";
import type { HardState } from "../../src/raft/index.ts";
import { BATCH_KIND } from "../../src/raft/index.ts";
import type { ReadEntry } from "../log/support/log-harness.ts";

export interface ModelEntry {
  /** Index * 1000 + tag, as the payload repeats it. */
  readonly value: number;
  readonly term: number;
  readonly isMembership: boolean;
}

/** The log after one operation, once that is durable. */
export interface ModelState {
  readonly hardState: HardState;
  readonly base: { readonly index: number; readonly term: number };
  /** From base.index + 1 on. */
  readonly entries: readonly ModelEntry[];
  /** Prefixes may be gone up to here. */
  readonly droppedThrough: number;
  /** Highest commit index that the log was told. */
  readonly commitIndex: number;
}

export const EMPTY_STATE: ModelState = {
  hardState: { term: 0, vote: "", abstains: false },
  base: { index: 0, term: 0 },
  entries: [],
  droppedThrough: 0,
  commitIndex: 0,
};

/** Why what was found is not this state, or null. `entries`: all that can be read. */
export function difference(
  state: ModelState,
  log: DurableLog,
  entries: readonly ReadEntry[],
): string | null {
  const { base } = state;
  const { firstIndex } = log;
  const lastIndex = base.index + state.entries.length;
  if (log.lastIndex !== lastIndex) return `ends at ${log.lastIndex}, not at ${lastIndex}`;
  const isSame =
    log.hardState.term === state.hardState.term &&
    log.hardState.vote === state.hardState.vote &&
    log.hardState.abstains === state.hardState.abstains;
  if (!isSame)
    return `hard state ${JSON.stringify(log.hardState)}, not ${JSON.stringify(state.hardState)}`;
  const highest = Math.max(base.index, state.droppedThrough) + 1;
  if (firstIndex < base.index + 1 || firstIndex > highest)
    return `begins at ${firstIndex}, not in ${base.index + 1}..${highest}`;
  if (log.commitIndex > state.commitIndex) return `commit index ${log.commitIndex} was made up`;
  if (entries.length !== lastIndex - firstIndex + 1)
    return `${entries.length} entries are readable`;
  const expected = state.entries.slice(firstIndex - base.index - 1);
  for (const [i, entry] of entries.entries()) {
    const { value, term, isMembership } = expected[i] as ModelEntry;
    const kind = isMembership ? BATCH_KIND.membership : BATCH_KIND.entries;
    if (entry.value !== value || entry.term !== term || entry.kind !== kind)
      return `entry ${entry.index} is ${JSON.stringify(entry)}, not ${value} of term ${term}`;
  }
  return summaryDifference(state, log, expected);
}

/** Terms and memberships, which Raft takes from the log without reading it. */
function summaryDifference(
  { base, entries }: ModelState,
  log: DurableLog,
  expected: readonly ModelEntry[],
): string | null {
  const { firstIndex, terms, memberships } = log;
  const baseTerm =
    firstIndex === base.index + 1 ? base.term : entries[firstIndex - base.index - 2]?.term;
  if (log.baseTerm !== baseTerm) return `base term ${log.baseTerm}, not ${baseTerm}`;
  const spans: string[] = [];
  for (const [i, { term }] of expected.entries())
    if (i === 0 || expected[i - 1]?.term !== term) spans.push(`${firstIndex + i}:${term}`);
  const found = terms.map((span) => `${span.firstIndex}:${span.term}`);
  if (found.join() !== spans.join()) return `terms ${found.join()}, not ${spans.join()}`;
  const indexes = expected.flatMap(({ isMembership }, i) => (isMembership ? [firstIndex + i] : []));
  const foundIndexes = memberships.map(({ index }) => index);
  if (foundIndexes.join() !== indexes.join())
    return `memberships at ${foundIndexes.join()}, not at ${indexes.join()}`;
  for (const { index, body } of memberships) {
    const value = new DataView(body.buffer, body.byteOffset).getFloat64(16, true);
    if (value !== expected[index - firstIndex]?.value) return `membership ${index} says ${value}`;
  }
  return null;
}
