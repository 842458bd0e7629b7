/**
 * Rules of the Raft paper ("In Search of an Understandable Consensus Algorithm", extended version, "P") and of
 * Ongaro's dissertation ("D"). Terms, elections, the election restriction, PreVote, CheckQuorum and stickiness.
 */

import { test } from "node:test";
import { rule } from "./support.ts";

test(
  ...rule({
    source: "P 5.1",
    quote: "If a server receives a request with a stale term number, it rejects the request",
    shows: "an append of an earlier term is rejected, and its sender learns the term",
    script: `
    cluster a b c
    lead a
    isolate a
    tick b 10
    tick c 10
    campaign b
    run b c
    expect b term 2
    heal
    propose a x
    deliver a->c
    expect c->a appendReply
    expect c last 2
    expect c log 1 2
    deliver c->a
    expect a role follower
    expect a term 2
  `,
  }),
);

test(
  ...rule({
    source: "P 5.1",
    quote:
      "if one server's current term is smaller than the other's, then it updates its current term to the larger value",
    shows: "a follower takes over the term of an append, durably",
    script: `
    cluster a b c
    hard a 4
    lead a
    expect a term 5
    expect b term 5
    expect b saved 5 a
    expect c saved 5 a
  `,
  }),
);

test(
  ...rule({
    source: "P 5.1",
    quote:
      "If a candidate or leader discovers that its term is out of date, it immediately reverts to follower state",
    shows: "a candidate that is refused in a higher term follows",
    script: `
    cluster a b c
    campaign a
    deliver a->b
    deliver b->a
    expect a role candidate
    campaign c 5
    deliver c->b 1
    deliver b->c
    expect c role candidate
    deliver c->a
    expect a role follower
    expect a term 5
  `,
  }),
);

test(
  ...rule({
    source: "P 5.2",
    quote:
      "A server remains in follower state as long as it receives valid RPCs from a leader or candidate",
    shows: "heartbeats keep a follower from campaigning for ever",
    script: `
    cluster a b c
    lead a
    live 50
    expect a role leader
    expect a term 1
    expect b role follower
    expect c role follower
  `,
  }),
);

test(
  ...rule({
    source: "P 5.2",
    quote:
      "If a follower receives no communication over a period of time called the election timeout, then it assumes there is no viable leader",
    shows: "silence for the drawn time makes a follower campaign, one tick less does not",
    script: `
    cluster a b c
    tick b 14
    expect b role follower
    tick b 1
    expect b role preCandidate
    expect b->a preVote
    expect b->c preVote
  `,
  }),
);

test(
  ...rule({
    source: "P 5.2",
    quote: "election timeouts are chosen randomly from a fixed interval",
    shows: "what is drawn is added to the least timeout",
    script: `
    cluster a b c
    wait a 0
    wait b 9
    tick a 9
    expect a role follower
    tick a 1
    expect a role preCandidate
    tick b 18
    expect b role follower
    tick b 1
    expect b role preCandidate
  `,
  }),
);

test(
  ...rule({
    source: "P 5.2",
    quote:
      "A candidate wins an election if it receives votes from a majority of the servers in the full cluster for the same term",
    shows: "two of five votes do not elect, three do",
    script: `
    cluster a b c d e
    campaign a
    deliver a->b
    deliver a->c
    deliver b->a
    expect a role preCandidate
    deliver c->a
    expect a role candidate
    deliver a->b
    deliver b->a
    expect a role candidate
    deliver a->c
    deliver c->a
    expect a role leader
  `,
  }),
);

test(
  ...rule({
    source: "P 5.2",
    quote:
      "Each server will vote for at most one candidate in a given term, on a first-come-first-served basis",
    shows: "the second candidate of a term is refused, the first may ask again",
    script: `
    cluster a b c d
    campaign a
    campaign b
    deliver a->c
    deliver a->d
    deliver b->c
    deliver b->d
    deliver c->a
    deliver d->a
    deliver c->b
    deliver d->b
    expect a role candidate
    expect b role candidate
    dup a->c
    deliver a->c
    expect c vote a
    deliver b->c
    expect c vote a
    expect b role candidate
    deliver c->b
    expect b role candidate
  `,
  }),
);

test(
  ...rule({
    source: "P 5.2",
    quote: "then the candidate recognizes the leader as legitimate and returns to follower state",
    shows: "a candidate follows the leader of its own term",
    script: `
    cluster a b c
    campaign a
    campaign c
    deliver a->b
    deliver c->b
    deliver b->a
    deliver b->c
    expect a role candidate
    expect c role candidate
    deliver a->b
    deliver b->a
    expect a role leader
    deliver a->c
    expect c role follower
    expect c leader a
    expect c term 1
  `,
  }),
);

test(
  ...rule({
    source: "P 5.2",
    quote: "If election timeout elapses: start new election",
    shows: "a candidate without a majority asks again, in a higher term",
    script: `
    cluster a b c
    campaign a
    deliver a->b
    deliver b->a
    expect a role candidate
    drop a->*
    tick a 15
    expect a role preCandidate
    expect a term 1
    run
    expect a role leader
    expect a term 2
  `,
  }),
);

test(
  ...rule({
    source: "P 5.2",
    quote:
      "Once a candidate wins an election, it becomes leader. It then sends heartbeat messages to all of the other servers",
    shows: "a new leader speaks to everybody at once, and again with time",
    script: `
    cluster a b c
    campaign a
    deliver a->b
    deliver b->a
    deliver a->b
    deliver b->a
    expect a role leader
    expect a->b append
    drop a->c
    tick a 2
    expect a->b append heartbeat
    expect a->c heartbeat
  `,
  }),
);

test(
  ...rule({
    source: "P fig. 2",
    quote: "Updated on stable storage before responding to RPCs",
    shows: "a vote is answered when it is on the disk, and a restart knows it",
    script: `
    cluster a b c
    hold disk b
    campaign a
    deliver a->b
    deliver b->a
    deliver a->b
    expect b->a
    durable b
    expect b->a voteReply
    crash b
    restart b
    expect b vote a
    expect b term 1
  `,
  }),
);

test(
  ...rule({
    source: "P 5.4.1",
    quote: "the voter denies its vote if its own log is more up-to-date than that of the candidate",
    shows: "a later last term wins over a longer log",
    script: `
    cluster a b c
    log a 1 1 1 1
    log b 1 2
    log c 1 2
    campaign a 5
    run
    expect a role follower
    campaign b
    run
    expect b role leader
    expect a log 1 2 3
  `,
  }),
);

test(
  ...rule({
    source: "P 5.4.1",
    quote: "If the logs end with the same term, then whichever log is longer is more up-to-date",
    shows: "with equal last terms the longer log wins, and an equal one is enough",
    script: `
    cluster a b c
    log a 1 1
    log b 1 1 1
    log c 1 1 1
    campaign a
    run
    expect a role follower
    expect b term 1
    campaign c
    run
    expect c role leader
  `,
  }),
);

test(
  ...rule({
    source: "D 9.6",
    quote:
      "a candidate only increments its term if it first learns from a majority of the cluster that they would be willing to grant the candidate their votes",
    shows: "a member that nobody answers keeps its term",
    script: `
    cluster a b c
    isolate a
    tick a 100
    expect a role preCandidate
    expect a term 0
    expect a saved 0 -
  `,
  }),
);

test(
  ...rule({
    source: "D 9.6",
    quote:
      "the voters have not received heartbeats from a valid leader for at least a baseline election timeout",
    shows: "pre-votes are refused while a leader is heard of, and granted after the least timeout",
    script: `
    cluster a b c
    lead a
    campaign c
    deliver c->b
    deliver b->c
    expect c role preCandidate
    tick b 10
    campaign c
    deliver c->b
    deliver b->c
    expect c role candidate
  `,
  }),
);

test(
  ...rule({
    source: "D 9.6",
    quote: "if the candidate's log is sufficiently up-to-date",
    shows: "a pre-vote is refused to a log that is behind",
    script: `
    cluster a b c
    log a 1
    log b 1 1
    log c 1 1
    campaign a
    run
    expect a role follower
    expect a term 1
  `,
  }),
);

test(
  ...rule({
    source: "D 6.2",
    quote:
      "a leader steps down if an election timeout elapses without a successful round of heartbeats to a majority of its cluster",
    shows: "a leader in a minority stops, one with a majority goes on",
    script: `
    cluster a b c
    lead a
    isolate b
    live 25
    expect a role leader
    isolate c
    tick a 20
    run
    expect a term 1
    propose a x
    expect outcome not_leader
  `,
  }),
);

test(
  ...rule({
    source: "P 6",
    quote:
      "if a server receives a RequestVote RPC within the minimum election timeout of hearing from a current leader, it does not update its term or grant its vote",
    shows: "a vote request in a higher term is ignored while the leader is heard of",
    script: `
    cluster a b c
    hard c 4
    cut a->c c->a
    hold disk c
    campaign c
    deliver c->b
    deliver b->c
    expect c role candidate
    campaign a
    deliver a->b
    deliver b->a
    run a b
    expect a role leader
    durable c
    deliver c->b
    expect b term 1
    expect b vote a
    expect b->c
  `,
  }),
);
