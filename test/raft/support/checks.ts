/** Safety of a cluster, checked while it runs (paper, figure 3; reliability (d) 13). A violation throws. */

import assert from "node:assert/strict";
import { type Batch, type Message, MESSAGE, type NodeId } from "../../../src/raft/index.ts";
import type { Disk } from "./disk.ts";
import type { Node } from "./node.ts";

export class Checks {
  /** Who led a term. */
  readonly leaders = new Map<number, NodeId>();
  /** Digest of every entry that anybody has applied, by index. */
  readonly applied: string[] = [];
  /** Term of every applied entry. */
  readonly appliedTerms: number[] = [];
  /** Highest commit index that anybody has known. */
  commitIndex = 0;
  readonly #commitOf = new Map<NodeId, number>();

  /** After every event at a member. */
  afterEvent(node: Node): void {
    const { core, id } = node;
    const { state } = core;
    const before = this.#commitOf.get(id) ?? 0;
    assert.ok(core.commitIndex >= before, `${id}: commit index falls from ${before}`);
    this.#commitOf.set(id, core.commitIndex);
    if (core.isLeader) this.#checkLeader(node);
    this.commitIndex = Math.max(this.commitIndex, core.commitIndex);
    assert.ok(core.applicableIndex <= Math.max(state.log.durableIndex, state.appliedIndex));
    assert.ok(state.log.durableIndex <= Math.max(node.disk.lastIndex, core.commitIndex), "durable");
  }

  /** Election safety and leader completeness. */
  #checkLeader({ core, id }: Node): void {
    const known = this.leaders.get(core.term);
    assert.ok(known === undefined || known === id, `${known} and ${id} lead term ${core.term}`);
    if (known === id) return;
    this.leaders.set(core.term, id);
    const { firstIndex, lastIndex } = core.status();
    assert.ok(lastIndex >= this.commitIndex, `${id} leads ${core.term} without what is committed`);
    for (let index = firstIndex; index < this.applied.length; index++) {
      const term = this.appliedTerms[index];
      if (term === undefined) continue;
      assert.equal(termOf(core.state, index), term, `${id} leads without entry ${index}`);
    }
  }

  /** State-machine safety. Answers the digest. */
  afterApply(node: Node, index: number, entry: Batch): string {
    const digest = digestOf(entry);
    const known = this.applied[index];
    assert.ok(known === undefined || known === digest, `${node.id} applies another entry ${index}`);
    assert.ok(index <= node.disk.lastIndex, `${node.id} applies ${index}, which is not durable`);
    this.applied[index] = digest;
    this.appliedTerms[index] = entry.term;
    return digest;
  }

  /** No promise before it is durable. */
  beforeSend(node: Node, message: Message): void {
    const { disk } = node;
    if (message.kind === MESSAGE.voteReply && message.isGranted) {
      assert.equal(disk.hardState.term, message.term, "a vote before its term is durable");
      assert.equal(disk.hardState.vote, message.to, "a vote before it is durable");
    }
    if (message.kind === MESSAGE.vote) {
      assert.equal(disk.hardState.term, message.term, "a campaign before its term is durable");
      assert.equal(disk.hardState.vote, node.id, "a campaign before the own vote is durable");
      assert.ok(disk.lastIndex >= message.lastIndex, "a campaign with a log that is not durable");
    }
    if (message.kind === MESSAGE.appendReply) {
      assert.ok(disk.hardState.term >= message.term, "an answer before its term is durable");
      if (!message.isRejected) {
        assert.ok(disk.lastIndex >= message.index, "an acknowledgement before it is durable");
      }
    }
    if (message.kind === MESSAGE.heartbeatReply) {
      assert.ok(disk.hardState.term >= message.term, "an answer before its term is durable");
    }
    if (message.kind === MESSAGE.preVoteReply) {
      assert.ok(disk.hardState.term >= message.term, "an answer before its term is durable");
    }
  }

  /** Log matching: equal terms at an index mean equal logs up to it. */
  logsMatch(disks: readonly Disk[]): void {
    for (const [i, a] of disks.entries()) {
      for (const b of disks.slice(i + 1)) checkPair(a, b);
    }
  }

  /** A member starts again: what it knew to be committed may be less. */
  afterCrash(id: NodeId): void {
    this.#commitOf.delete(id);
  }
}

function checkPair(a: Disk, b: Disk): void {
  let isEqual = false;
  const first = Math.max(a.firstIndex, b.firstIndex);
  for (let index = Math.min(a.lastIndex, b.lastIndex); index >= first; index--) {
    const isSameTerm = a.termAt(index) === b.termAt(index);
    assert.ok(isSameTerm || !isEqual, `logs differ at ${index} below an equal entry`);
    if (!isSameTerm) continue;
    isEqual = true;
    assert.equal(digestOf(a.entryAt(index) as Batch), digestOf(b.entryAt(index) as Batch));
  }
}

function termOf(state: Node["core"]["state"], index: number): number {
  const { spans } = state.log;
  let term = -1;
  for (const span of spans) if (span.firstIndex <= index) term = span.term;
  return term;
}

export function digestOf({ kind, term, appendedAtMs, body, bodyBytes }: Batch): string {
  return `${kind}/${term}/${appendedAtMs}/${Buffer.from(body.subarray(0, bodyBytes)).toString("base64")}`;
}
