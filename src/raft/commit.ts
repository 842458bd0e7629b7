/** The commit index, and what follows from its rise. */

import { assert } from "../base/index.ts";
import { lastIndexOf } from "./batches.ts";
import { tailFirst, tailPosition } from "./raft-log.ts";
import { membershipChanged } from "./roles.ts";
import type { CoreState } from "./state.ts";
import type { Batch } from "./types.ts";

/** Everything up to `index` is committed. Never falls. */
export function raiseCommit(state: CoreState, index: number): void {
  const { log, leading, commitIndex } = state;
  if (index <= commitIndex) return;
  assert(index <= log.lastIndex, `Commit ${index} behind the end ${log.lastIndex}`);
  if (leading !== null) leading.uncommittedBytes -= committedBytes(state, index);
  state.commitIndex = index;
  const { memberships } = log;
  for (let i = memberships.length - 1; i >= 0; i--) {
    const at = memberships[i]?.index as number;
    if (at <= commitIndex) break;
    if (at <= index) return membershipChanged(state);
  }
}

/** Bytes of the batches that end within commitIndex + 1..index. */
function committedBytes({ log, commitIndex }: CoreState, index: number): number {
  let bytes = 0;
  const from = Math.max(commitIndex + 1, tailFirst(log));
  if (from > log.lastIndex) return 0;
  for (let i = tailPosition(log, from); i < log.tail.length; i++) {
    const batch = log.tail[i] as Batch;
    if (lastIndexOf(batch) > index) break;
    bytes += batch.bodyBytes;
  }
  return bytes;
}
