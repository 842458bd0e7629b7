/**
 * Rules of the Raft paper ("In Search of an Understandable Consensus Algorithm", extended version, "P") and of
 * Ongaro's dissertation ("D"). Replication, commit and the order of disk and replies.
 */

import { test } from "node:test";
import { rule } from "./support.ts";

test(
  ...rule({
    source: "P 5.3",
    quote:
      "The leader appends the command to its log as a new entry, then issues AppendEntries RPCs in parallel to each of the other servers",
    shows:
      "an append leaves for everybody before anybody has answered, and before the own disk has it",
    script: `
    cluster a b c
    lead a
    hold disk a
    propose a x
    expect a last 2
    expect a->b append
    expect a->c append
  `,
  }),
);

test(
  ...rule({
    source: "P 5.3",
    quote:
      "A log entry is committed once the leader that created the entry has replicated it on a majority of the servers",
    shows: "an entry commits with the second of three, not before",
    script: `
    cluster a b c
    lead a
    propose a x
    expect a commit 1
    deliver a->b
    expect a commit 1
    deliver b->a
    expect a commit 2
    expect a applied 2
  `,
  }),
);

test(
  ...rule({
    source: "P 5.3",
    quote:
      "This also commits all preceding entries in the leader's log, including entries created by previous leaders",
    shows: "the no-op of a new term commits what earlier leaders left",
    script: `
    cluster a b c
    log a 1 2 3
    log b 1
    log c 1 2
    campaign a
    run
    expect a commit 4
    expect b log 1 2 3 4
    expect b commit 4
    expect c commit 4
  `,
  }),
);

test(
  ...rule({
    source: "P 5.3",
    quote:
      "it includes that index in future AppendEntries RPCs (including heartbeats) so that the other servers eventually find out",
    shows: "followers learn the commit index, and never more than they are known to hold",
    script: `
    cluster a b c
    lead a
    isolate c
    propose a x
    run
    tick a 2
    run
    expect b commit 2
    expect c commit 1
    heal
    drop a->c
    tick a 2
    deliver a->c
    expect c commit 1
  `,
  }),
);

test(
  ...rule({
    source: "P fig. 2",
    quote:
      "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)",
    shows: "entries behind what was compared are not committed by a high commit index",
    script: `
    option appendMaxBytes 24
    cluster a b c
    log a 1 2 2
    log b 1 2 2
    log c 1 1 1
    campaign a
    run a b
    expect a commit 4
    deliver a->c
    # c has rejected. It has 3 entries, of another term, and nothing of them is committed.
    expect c commit 0
    deliver c->a
    deliver a->c 1
    expect c commit 2
    expect c log 1 2
  `,
  }),
);

test(
  ...rule({
    source: "P fig. 2",
    quote:
      "Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm",
    shows: "a gap and a different term are rejected, and nothing is written",
    script: `
    cluster a b c
    log a 1 2 2
    log b 1 2 2
    log c 1 1 1
    campaign a
    run a b
    drop c->a
    deliver a->c
    expect rejections c->a 1
    expect c log 1 1 1
    expect c last 3
  `,
  }),
);

test(
  ...rule({
    source: "P fig. 2",
    quote:
      "If an existing entry conflicts with a new one (same index but different terms), delete the existing entry and all that follow it",
    shows: "entries of a deposed leader go, from the first difference on",
    script: `
    cluster a b c
    log a 1 1 3
    log b 1 1 3
    log c 1 1 2 2 2
    campaign a
    run
    expect c log 1 1 3 4
    expect c last 4
  `,
  }),
);

test(
  ...rule({
    source: "P fig. 2",
    quote: "Append any new entries not already in the log",
    shows: "an append of what is there already cuts nothing off",
    script: `
    cluster a b c
    lead a
    cut a->c
    propose a x
    dup a->b
    deliver a->b 1
    propose a y
    reverse a->b
    deliver a->b
    expect b last 3
    expect b log 1 1 1
  `,
  }),
);

test(
  ...rule({
    source: "P fig. 3",
    quote: "a leader never overwrites or deletes entries in its log; it only appends new entries",
    shows: "a follower that rejects everything does not change the leader's log",
    script: `
    cluster a b c
    log a 1 2 2
    log b 1 2 2
    log c 1 1 1 1 1
    campaign a
    run
    expect a log 1 2 2 3
    expect c log 1 2 2 3
  `,
  }),
);

test(
  ...rule({
    source: "P 5.3",
    quote: "the leader handles inconsistencies by forcing the followers' logs to duplicate its own",
    shows: "logs of all shapes become the leader's",
    script: `
    cluster a b c d e
    log a 1 2 4 4
    log b 1 2 4 4
    log c 1
    log d 1 2 3 3 3 3
    log e 1 2 4
    campaign a
    run
    expect b log 1 2 4 4 5
    expect c log 1 2 4 4 5
    expect d log 1 2 4 4 5
    expect e log 1 2 4 4 5
  `,
  }),
);

test(
  ...rule({
    source: "P 5.3",
    quote:
      "With this optimization, one AppendEntries RPC will be required for each term with conflicting entries, rather than one RPC per entry",
    shows: "a term of many conflicting entries costs one rejection",
    script: `
    cluster a b c
    log a 1 3 3 3 3 3 3 3 3
    log b 1 3 3 3 3 3 3 3 3
    log c 1 2 2 2 2 2 2 2 2
    campaign a
    run
    expect rejections c->a 1
    expect c log 1 3 3 3 3 3 3 3 3 4
  `,
  }),
);

test(
  ...rule({
    source: "P 5.4.2",
    quote: "Only log entries from the leader's current term are committed by counting replicas",
    shows: "an entry of an earlier term on a majority waits for one of the own term",
    script: `
    option appendMaxBytes 24
    cluster a b c
    log a 1 2
    log b 1
    log c 1
    campaign a
    deliver a->b
    deliver b->a
    deliver a->b
    deliver b->a
    expect a role leader
    deliver a->b
    deliver b->a
    deliver a->b 1
    deliver b->a 1
    expect a match b 2
    expect a commit 0
    run a b
    expect a match b 3
    expect a commit 3
  `,
  }),
);

test(
  ...rule({
    source: "P fig. 2",
    quote: "Updated on stable storage before responding to RPCs",
    shows: "an acknowledgement waits for the follower's disk, and what was not acknowledged may go",
    script: `
    cluster a b c
    lead a
    isolate c
    hold disk b
    propose a x
    deliver a->b
    expect b->a
    crash b
    restart b
    expect b last 1
    expect a commit 1
  `,
  }),
);

test(
  ...rule({
    source: "P fig. 2",
    quote:
      "If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to state machine",
    shows:
      "committed entries are applied in order, everywhere, and only when they are on the own disk",
    script: `
    cluster a b c
    lead a
    hold disk c
    propose a x y z
    run
    live 4
    expect a applied 4
    expect b applied 4
    expect c commit 4
    expect c applied 1
    durable c
    expect c applied 4
  `,
  }),
);

test(
  ...rule({
    source: "P 5.5",
    quote: "Raft RPCs are idempotent, so this causes no harm",
    shows: "every message delivered twice changes nothing",
    script: `
    cluster a b c
    campaign a
    dup a->b
    deliver a->b
    dup b->a
    deliver b->a
    dup a->b
    deliver a->b
    dup b->a
    deliver b->a
    expect a role leader
    expect a term 1
    dup a->b
    deliver a->b
    dup b->a
    deliver b->a
    expect a commit 1
    expect b log 1
    expect a match b 1
  `,
  }),
);

test(
  ...rule({
    source: "P 5.5",
    quote:
      "If a follower or candidate crashes, then future RequestVote and AppendEntries RPCs sent to it will fail",
    shows: "a member that was down is brought up to date",
    script: `
    cluster a b c
    lead a
    crash c
    propose a x y
    run
    restart c
    live 12
    expect c log 1 1 1
    expect c commit 3
    expect a match c 3
  `,
  }),
);

test(
  ...rule({
    source: "P 8",
    quote:
      "Raft handles this by having each leader commit a blank no-op entry into the log at the start of its term",
    shows: "every term begins with an entry of the leader",
    script: `
    cluster a b c
    lead a
    expect a log 1
    expect a commit 1
    campaign a 2
    run
    expect a log 1 2
    expect a commit 2
  `,
  }),
);
