/** What must hold of one member by itself, after every step. */

import { type Message, MESSAGE } from "../../src/raft/index.ts";
import { type Disk, lastIndexOf } from "./disk.ts";
import type { MemberState } from "./member-state.ts";

/** The violated invariant, or null. */
export function checkMember(next: MemberState, before: MemberState | null): string | null {
  const { core, disk } = next;
  if (disk.broken !== null) return disk.broken;
  const { commitIndex, appliedIndex, log } = core;
  if (appliedIndex > commitIndex || commitIndex > log.lastIndex) {
    return `order of indexes: applied ${appliedIndex}, commit ${commitIndex}, last ${log.lastIndex}`;
  }
  if (appliedIndex > log.durableIndex) {
    return `applied within durable: applied ${appliedIndex}, durable ${log.durableIndex}`;
  }
  const onDisk = matchingIndex(disk, next);
  if (log.durableIndex > onDisk) {
    return `durable means on disk: durable ${log.durableIndex}, the disk has it up to ${onDisk}`;
  }
  const progress = checkProgress(next);
  if (progress !== null) return progress;
  if (before === null) return null;
  if (commitIndex < before.core.commitIndex) {
    return `monotone commit: ${before.core.commitIndex} then ${commitIndex}`;
  }
  if (core.term < before.core.term) return `monotone term: ${before.core.term} then ${core.term}`;
  return null;
}

/** Up to where disk and memory are one log. */
function matchingIndex(disk: Disk, member: MemberState): number {
  let index = 0;
  for (const batch of disk.batches) {
    if (batch.firstIndex > member.core.log.lastIndex) break;
    if (batch.term !== termIn(member, batch.firstIndex)) break;
    index = batch.firstIndex;
  }
  return index;
}

/** Term of the entry in the core's log; the index lies in it. */
export function termIn({ core }: MemberState, index: number): number {
  return core.log.spans.findLast((span) => span.firstIndex <= index)?.term ?? 0;
}

function checkProgress({ core }: MemberState): string | null {
  for (const peer of core.leading?.peers.values() ?? []) {
    if (peer.matchIndex >= peer.nextIndex) {
      return `match below next: match ${peer.matchIndex}, next ${peer.nextIndex} of ${peer.id}`;
    }
    const sum = peer.inflightSizes.reduce((total, size) => total + size, 0);
    if (sum !== peer.inflightBytes) {
      return `in-flight accounting: ${peer.inflightBytes} bytes, ${sum} in the ring of ${peer.id}`;
    }
  }
  return null;
}

/** No reply without durability: what a message promises is on the disk when the message leaves. */
export function checkSent(sent: readonly Message[], member: MemberState): string | null {
  for (const message of sent) {
    const problem = promiseProblem(message, member.disk);
    if (problem !== null) return `no reply without durability: ${problem}`;
  }
  return null;
}

function promiseProblem(message: Message, disk: Disk): string | null {
  const { hardState } = disk;
  switch (message.kind) {
    case MESSAGE.vote:
    case MESSAGE.voteReply: {
      if (hardState.term > message.term) return null;
      if (hardState.term < message.term) {
        return `kind ${message.kind} of term ${message.term}, the disk has term ${hardState.term}`;
      }
      const candidate = message.kind === MESSAGE.vote ? message.from : message.to;
      const isPromise = message.kind === MESSAGE.vote || message.isGranted;
      if (!isPromise || hardState.vote === candidate) return null;
      return `vote for ${candidate} in term ${message.term}, the disk says "${hardState.vote}"`;
    }
    case MESSAGE.appendReply:
      if (hardState.term < message.term) {
        return `append reply of term ${message.term}, the disk has term ${hardState.term}`;
      }
      if (message.isRejected || message.index <= lastIndexOf(disk.batches)) return null;
      return `acknowledged ${message.index}, the disk ends at ${lastIndexOf(disk.batches)}`;
    default:
      return null;
  }
}
