/**
 * What must hold after every event, checked where the event can have changed it. The numbers are those of the list of
 * reliability.md (d) 13; each check names its invariant, and invariants.test.ts plants a violation of every one.
 *
 * Global knowledge is kept as maps that only grow: who led a term, what stands at (index, term), what is committed at
 * an index, the state's checksum at an index. A member is compared with these, not with every other member.
 */

import type { Membership, Message, NodeId, RaftStatus } from "../../src/raft/index.ts";
import { MESSAGE } from "../../src/raft/index.ts";
import type { Coverage } from "./coverage.ts";
import { check, violated } from "./failure.ts";
import { quorumsOverlap, hasQuorum } from "./quorums.ts";
import type { ShadowEntry, ShadowLog } from "./shadow-log.ts";

/** The cheap half of a core's status: getters. */
export interface CoreView {
  readonly term: number;
  readonly isLeader: boolean;
  readonly leader: NodeId;
  readonly commitIndex: number;
  readonly applicableIndex: number;
  readonly lastIndex: number;
  status(): RaftStatus;
}

/** One running member as the checks see it. */
export interface MemberView {
  readonly nodeId: NodeId;
  readonly core: CoreView;
  readonly shadow: ShadowLog;
  readonly appliedIndex: number;
  /** Of the newest complete snapshot in its store; 0: none. */
  readonly snapshotIndex: number;
  /** Of this incarnation: what it reported last. */
  readonly seen: Seen;
}

/** A member's log, whether it runs or not. */
export interface Holder {
  readonly holder: { readonly nodeId: NodeId; readonly shadow: ShadowLog };
}

/** What one incarnation has reached; raised by the checks. */
export interface Seen {
  term: number;
  commitIndex: number;
  appliedIndex: number;
  lastIndex: number;
  wasLeader: boolean;
}

export function createSeen(): Seen {
  return { term: 0, commitIndex: 0, appliedIndex: 0, lastIndex: 0, wasLeader: false };
}

interface StoredEntry extends ShadowEntry {
  readonly previousTerm: number;
}

export interface InvariantLimits {
  readonly uncommittedMaxBytes: number;
  readonly inflightMaxMessages: number;
  readonly inflightMaxBytes: number;
  /** The largest single message or proposal may exceed a window by itself. */
  readonly largestBytes: number;
}

export class Invariants {
  /** Index of the newest entry that some member knows to be committed. */
  committedIndex = 0;
  readonly #limits: InvariantLimits;
  readonly #coverage: Coverage;
  readonly #leaders = new Map<number, NodeId>();
  /** By index: every entry that ever stood there, by term. */
  readonly #entries: StoredEntry[][] = [];
  readonly #committed: (ShadowEntry | undefined)[] = [];
  /** By index: term in which it was committed; a later one than that of its entry, when a later leader did it. */
  readonly #committedIn: (number | undefined)[] = [];
  readonly #checksums: (number | undefined)[] = [];
  readonly #appendedAt: (number | undefined)[] = [];
  /** "node term" -> vote that was durable or promised. */
  readonly #votes = new Map<string, NodeId>();
  #first: Membership | null = null;
  /** Configurations by index and term, as leaders appended them. */
  readonly #memberships = new Map<number, { term: number; membership: Membership }[]>();

  constructor(limits: InvariantLimits, coverage: Coverage) {
    this.#limits = limits;
    this.#coverage = coverage;
  }

  // -- after every event ---------------------------------------------------------------------------------------

  /** The event happened on `member`. `holders`: every machine, running or not. */
  afterEvent(member: MemberView, holders: () => readonly Holder[]): void {
    this.#checkOrder(member);
    this.#checkLeader(member);
    this.#checkCommit(member, holders);
    member.seen.lastIndex = member.core.lastIndex;
  }

  /** 8 and 9: pointers in order, nothing goes back. */
  #checkOrder(member: MemberView): void {
    const { core, shadow, seen, nodeId, appliedIndex } = member;
    const { term, commitIndex } = core;
    if (term < seen.term) violated("term-monotone", `${nodeId}: ${seen.term} -> ${term}`);
    if (commitIndex < seen.commitIndex) {
      violated("commit-monotone", `${nodeId}: ${seen.commitIndex} -> ${commitIndex}`);
    }
    if (appliedIndex < seen.appliedIndex) {
      violated("applied-monotone", `${nodeId}: ${seen.appliedIndex} -> ${appliedIndex}`);
    }
    if (appliedIndex > Math.max(commitIndex, shadow.baseIndex)) {
      violated("applied-committed", `${nodeId}: applied ${appliedIndex}, commit ${commitIndex}`);
    }
    if (commitIndex > core.lastIndex) {
      violated("commit-in-log", `${nodeId}: commit ${commitIndex}, last ${core.lastIndex}`);
    }
    if (appliedIndex > shadow.durableIndex) {
      violated(
        "applied-durable",
        `${nodeId}: applied ${appliedIndex}, durable ${shadow.durableIndex}`,
      );
    }
    seen.term = term;
    seen.appliedIndex = appliedIndex;
  }

  /** 1 and 4: one leader per term, and it has everything that is committed. */
  #checkLeader(member: MemberView): void {
    const { core, nodeId, seen } = member;
    if (!core.isLeader) {
      if (seen.wasLeader) this.#coverage.hit("stepDown");
      seen.wasLeader = false;
      return;
    }
    if (seen.wasLeader && this.#leaders.get(core.term) === nodeId) return;
    this.leads(nodeId, core.term);
    seen.wasLeader = true;
    this.#coverage.hit("election");
    this.#checkCompleteness(member);
  }

  /** Somebody acts as the leader of a term. */
  leads(nodeId: NodeId, term: number): void {
    const known = this.#leaders.get(term);
    if (known === undefined) this.#leaders.set(term, nodeId);
    else if (known !== nodeId) violated("election-safety", `term ${term}: ${known} and ${nodeId}`);
  }

  #checkCompleteness({ nodeId, core, shadow }: MemberView): void {
    for (let index = shadow.baseIndex + 1; index <= this.committedIndex; index++) {
      const entry = this.#committed[index];
      // One that wins late, in a term that others have left, lacks what was committed in theirs.
      if (entry === undefined || (this.#committedIn[index] ?? entry.term) > core.term) continue;
      check(shadow.holds(index, entry), "leader-completeness", () => {
        return `${nodeId} leads term ${core.term} without committed entry ${index} of term ${entry.term}`;
      });
    }
  }

  /** 5, 6 and 7: what a member calls committed is so for everybody, on a durable quorum. */
  #checkCommit(member: MemberView, holders: () => readonly Holder[]): void {
    const { core, shadow, seen, nodeId } = member;
    const { commitIndex } = core;
    if (commitIndex === seen.commitIndex) return;
    const start = Math.max(seen.commitIndex, shadow.baseIndex) + 1;
    for (let index = start; index <= commitIndex; index++) {
      const entry = { term: shadow.termAt(index), hash: shadow.hashAt(index) };
      if (entry.term < 0) violated("commit-in-log", `${nodeId} has no entry ${index}`);
      this.#committedIn[index] ??= core.term;
      const known = this.#committed[index];
      if (known === undefined) {
        this.#committed[index] = entry;
        continue;
      }
      check(known.term === entry.term && known.hash === entry.hash, "state-machine-safety", () => {
        return `${nodeId} commits ${index} of term ${entry.term}, others of term ${known.term}`;
      });
    }
    if (commitIndex > this.committedIndex) {
      if (core.isLeader) this.#checkDurableQuorum(member, holders);
      this.committedIndex = commitIndex;
      this.#coverage.hit("commit");
    }
    seen.commitIndex = commitIndex;
  }

  #checkDurableQuorum({ nodeId, core, seen }: MemberView, all: () => readonly Holder[]): void {
    const { commitIndex } = core;
    const entry = this.#committed[commitIndex];
    if (entry === undefined) return;
    const { index, membership } = core.status().membership;
    const holders = all()
      .map(({ holder }) => holder)
      .filter(({ shadow }) => {
        if (shadow.durableIndex < commitIndex) return false;
        return shadow.baseIndex >= commitIndex || shadow.holds(commitIndex, entry);
      })
      .map(({ nodeId: id }) => id);
    const ids = new Set(holders);
    // A change that came behind the commit, in the same turn, has not decided it: the one that it begins from has.
    const isDecidedBefore = index > Math.max(commitIndex, seen.lastIndex);
    const hasDecided =
      hasQuorum(membership, ids) ||
      (isDecidedBefore && hasQuorum(this.#committedMembership(commitIndex) ?? membership, ids));
    check(hasDecided, "durable-quorum", () => {
      return `${nodeId} commits ${commitIndex}, durable on ${holders.join(" ")} of ${membership.voters.join(" ")}`;
    });
    check(entry.term === core.term, "commit-own-term", () => {
      return `${nodeId} commits ${commitIndex} of term ${entry.term} by counting in term ${core.term}`;
    });
  }

  // -- the costly half, for leaders ----------------------------------------------------------------------------

  /** 8, 10 and 14: what only the full status shows. */
  checkStatus({ nodeId, core, appliedIndex, snapshotIndex }: MemberView): void {
    const status = core.status();
    const { firstIndex, lastIndex, commitIndex, durableIndex, applicableIndex } = status;
    if (status.appliedIndex > appliedIndex) {
      violated("applied-reported", `${nodeId}: ${status.appliedIndex}, state has ${appliedIndex}`);
    }
    // A received snapshot may still be on its way into the state when the log already begins behind it.
    if (firstIndex > snapshotIndex + 1) {
      violated("log-cut", `${nodeId}: log begins at ${firstIndex}, snapshot ${snapshotIndex}`);
    }
    if (applicableIndex > Math.min(commitIndex, durableIndex)) {
      violated(
        "applicable",
        `${nodeId}: ${applicableIndex}, commit ${commitIndex}, durable ${durableIndex}`,
      );
    }
    if (durableIndex > lastIndex) {
      violated("durable-in-log", `${nodeId}: durable ${durableIndex}, last ${lastIndex}`);
    }
    const { uncommittedMaxBytes, inflightMaxMessages, inflightMaxBytes, largestBytes } =
      this.#limits;
    if (
      status.uncommittedBytes > uncommittedMaxBytes + largestBytes ||
      status.uncommittedBytes < 0
    ) {
      violated("bounded-queues", `${nodeId}: ${status.uncommittedBytes} bytes not committed`);
    }
    for (const peer of status.peers) {
      const { matchIndex, nextIndex, inflightMessages, inflightBytes } = peer;
      if (matchIndex >= nextIndex) {
        violated("match-below-next", `${nodeId} of ${peer.id}: ${matchIndex} >= ${nextIndex}`);
      }
      if (nextIndex > lastIndex + 1) {
        violated("next-in-log", `${nodeId} of ${peer.id}: ${nextIndex}, last ${lastIndex}`);
      }
      const isBounded =
        inflightMessages <= inflightMaxMessages && inflightBytes <= inflightMaxBytes + largestBytes;
      if (!isBounded || inflightMessages < 0 || inflightBytes < 0) {
        violated(
          "in-flight",
          `${nodeId} to ${peer.id}: ${inflightMessages}, ${inflightBytes} bytes`,
        );
      }
      if (inflightMessages === 0 && inflightBytes !== 0) {
        violated("in-flight", `${nodeId} to ${peer.id}: ${inflightBytes} bytes in no message`);
      }
    }
  }

  // -- as things happen ----------------------------------------------------------------------------------------

  /** 2 and 3: an entry is appended somewhere. Equal (index, term) means equal entry and equal entry before it. */
  appended(nodeId: NodeId, shadow: ShadowLog, firstIndex: number): void {
    for (let index = firstIndex; index <= shadow.lastIndex; index++) {
      const term = shadow.termAt(index);
      const hash = shadow.hashAt(index);
      const previousTerm = shadow.termAt(index - 1);
      if (previousTerm > term) {
        violated("terms-ascend", `${nodeId}: entry ${index} of term ${term} after ${previousTerm}`);
      }
      let stored = this.#entries[index];
      if (stored === undefined) {
        stored = [];
        this.#entries[index] = stored;
      }
      const known = stored.find((entry) => entry.term === term);
      if (known === undefined) {
        stored.push({ term, hash, previousTerm });
      } else if (known.hash !== hash || known.previousTerm !== previousTerm) {
        violated(
          "log-matching",
          `${nodeId}: entry ${index} of term ${term} differs from another log`,
        );
      }
    }
  }

  /** 2: a leader gives up nothing of its own. Also what is committed is never given up. */
  truncated(
    nodeId: NodeId,
    isLeader: boolean,
    term: number,
    shadow: ShadowLog,
    from: number,
  ): void {
    for (let index = from; index <= shadow.lastIndex; index++) {
      if (isLeader && shadow.termAt(index) === term) {
        violated("leader-append-only", `${nodeId} leads term ${term} and gives up entry ${index}`);
      }
      const committed = this.#committed[index];
      if (committed !== undefined && shadow.holds(index, committed)) {
        violated("committed-kept", `${nodeId} gives up committed entry ${index}`);
      }
    }
  }

  /** 9: one vote per term and member, over restarts. */
  voted(nodeId: NodeId, term: number, vote: NodeId): void {
    if (vote === "") return;
    const key = `${nodeId} ${term}`;
    const known = this.#votes.get(key);
    if (known === undefined) this.#votes.set(key, vote);
    else if (known !== vote) {
      violated("vote-once", `${nodeId} votes for ${known} and ${vote} in term ${term}`);
    }
  }

  /** 12: a message leaves `from`. What it promises has to be durable there. */
  sent(message: Message, shadow: ShadowLog): void {
    const { durableHardState } = shadow;
    const { from, term } = message;
    switch (message.kind) {
      case MESSAGE.voteReply:
        if (!message.isGranted) break;
        this.#coverage.hit("promiseChecked");
        if (durableHardState.term !== term || durableHardState.vote !== message.to) {
          violated("reply-durable", `${from} grants ${message.to} term ${term}, not durable`);
        }
        this.voted(from, term, message.to);
        break;
      case MESSAGE.appendReply:
        this.#coverage.hit("promiseChecked");
        if (durableHardState.term < term) {
          violated(
            "reply-durable",
            `${from} answers in term ${term}, durable ${durableHardState.term}`,
          );
        }
        if (!message.isRejected && message.index > shadow.durableIndex) {
          violated(
            "reply-durable",
            `${from} acknowledges ${message.index}, durable ${shadow.durableIndex}`,
          );
        }
        break;
      case MESSAGE.append:
      case MESSAGE.heartbeat:
      case MESSAGE.timeoutNow:
      case MESSAGE.snapshotChunk:
        this.leads(from, term);
        if (durableHardState.term < term) {
          violated("reply-durable", `${from} leads term ${term}, durable ${durableHardState.term}`);
        }
        break;
      default:
        break;
    }
  }

  /** 5 and 13: a range was applied. */
  applied(nodeId: NodeId, index: number, entry: ShadowEntry, checksum: number): void {
    const committed = this.#committed[index];
    // Applied in the event that commits it: the commit is looked at when the event is over, against this entry.
    if (committed === undefined) this.#committed[index] = entry;
    else if (committed.term !== entry.term || committed.hash !== entry.hash) {
      violated("state-machine-safety", `${nodeId} applies another entry at ${index}`);
    }
    this.checksum(nodeId, index, checksum);
  }

  /** 13: equal state at equal index. */
  checksum(nodeId: NodeId, index: number, checksum: number): void {
    const known = this.#checksums[index];
    if (known === undefined) this.#checksums[index] = checksum;
    else {
      this.#coverage.hit("checksumCompared");
      if (known !== checksum) violated("state-checksum", `${nodeId} differs at ${index}`);
    }
  }

  /** Log time: the same everywhere, never going back. */
  logTime(nodeId: NodeId, index: number, appendedAtMs: number): void {
    const known = this.#appendedAt[index];
    if (known !== undefined && known !== appendedAtMs) {
      violated("log-time", `${nodeId} applies ${index} at ${appendedAtMs}, others at ${known}`);
    }
    const before = this.#appendedAt[index - 1];
    if (before !== undefined && appendedAtMs < before) {
      violated(
        "log-time",
        `${nodeId}: entry ${index} at ${appendedAtMs}, the one before at ${before}`,
      );
    }
    this.#appendedAt[index] = appendedAtMs;
  }

  /** The configuration that the cluster begins with. */
  founded(membership: Membership): void {
    this.#first = membership;
  }

  /** 11: a leader appends a configuration after `previous`. */
  reconfigured(index: number, term: number, previous: Membership, next: Membership): void {
    let known = this.#memberships.get(index);
    if (known === undefined) {
      known = [];
      this.#memberships.set(index, known);
    }
    if (known.some((other) => other.term === term)) return;
    known.push({ term, membership: next });
    check(quorumsOverlap(previous, next), "quorums-overlap", () => {
      return `entry ${index}: ${JSON.stringify(previous)} -> ${JSON.stringify(next)}`;
    });
  }

  /** Index of the newest configuration in a log, or before its base; 0: none but the first. */
  configurationIndex(shadow: ShadowLog): number {
    let newest = 0;
    for (const [index, known] of this.#memberships) {
      if (index <= newest || index > shadow.lastIndex) continue;
      const term =
        index > shadow.baseIndex ? shadow.termAt(index) : (this.#committed[index]?.term ?? -1);
      if (known.some((other) => other.term === term)) newest = index;
    }
    return newest;
  }

  /** Recovery (12): what was promised before a stop is there after it. */
  recovered(nodeId: NodeId, before: ShadowLog, after: ShadowLog): void {
    this.#coverage.hit("recoveryChecked");
    const { term, vote } = after.hardState;
    const promised = before.durableHardState;
    const isKept =
      term > promised.term ||
      (term === promised.term && (promised.vote === "" || vote === promised.vote));
    if (!isKept) {
      violated(
        "durable-kept",
        `${nodeId}: term ${promised.term} vote ${promised.vote} -> ${term} ${vote}`,
      );
    }
    this.voted(nodeId, term, vote);
    for (
      let index = Math.max(before.baseIndex, after.baseIndex) + 1;
      index <= before.durableIndex;
      index++
    ) {
      const entry = { term: before.termAt(index), hash: before.hashAt(index) };
      if (!after.holds(index, entry)) {
        violated(
          "durable-kept",
          `${nodeId}: entry ${index} of term ${entry.term} is gone after a start`,
        );
      }
    }
    this.appended(nodeId, after, after.baseIndex + 1);
  }

  /**
   * Whether these members decide under every configuration that may be in force: the newest committed one, and all
   * that were appended behind it.
   */
  isQuorumEverywhere(ids: ReadonlySet<NodeId>): boolean {
    return this.possibleMemberships().every((membership) => hasQuorum(membership, ids));
  }

  /** The newest committed configuration up to an index. */
  #committedMembership(throughIndex: number): Membership | null {
    const indexes = [...this.#memberships.keys()].filter((index) => index <= throughIndex);
    for (const index of indexes.sort((a, b) => b - a)) {
      const term = this.#committed[index]?.term;
      const decided = this.#memberships.get(index)?.find((known) => known.term === term);
      if (decided !== undefined) return decided.membership;
    }
    return this.#first;
  }

  possibleMemberships(): Membership[] {
    const indexes = [...this.#memberships.keys()].sort((a, b) => b - a);
    const possible: Membership[] = [];
    for (const index of indexes) {
      const committed = this.#committed[index];
      const known = this.#memberships.get(index) ?? [];
      const decided = known.find(({ term }) => term === committed?.term);
      if (decided !== undefined) return [...possible, decided.membership];
      possible.push(...known.map(({ membership }) => membership));
    }
    return this.#first === null ? possible : [...possible, this.#first];
  }
}
