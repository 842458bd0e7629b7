/**
 * Rules of the Raft paper ("In Search of an Understandable Consensus Algorithm", extended version, "P") and of
 * Ongaro's dissertation ("D"). Membership: joint configurations, learners, removed members.
 */

import { test } from "node:test";
import { rule } from "./support.ts";

test(
  ...rule({
    source: "P 6",
    quote:
      "a server always uses the latest configuration in its log, regardless of whether the entry is committed",
    shows: "leader and follower use a configuration when they have it",
    script: `
    cluster a b c + d
    lead a
    cut a->c
    change a addVoter d
    expect a members voters a b c d, outgoing a b c
    expect a commit 1
    deliver a->b
    expect b members voters a b c d, outgoing a b c
    expect b commit 1
    expect c members voters a b c, learners d
  `,
  }),
);

test(
  ...rule({
    source: "P 6",
    quote:
      "Agreement (for elections and entry commitment) requires separate majorities from both the old and new configurations",
    shows: "entries of the joint phase need both majorities",
    script: `
    cluster a b c + d e
    lead a
    isolate d
    isolate e
    change a addVoter d, addVoter e, remove b, remove c
    run
    expect a match b 2
    expect a match c 2
    expect a commit 1
    heal
    unreachable a d
    unreachable a e
    live 6
    expect a members voters a d e
  `,
  }),
);

test(
  ...rule({
    source: "P 6",
    quote:
      "Agreement (for elections and entry commitment) requires separate majorities from both the old and new configurations",
    shows: "elections of the joint phase need both majorities",
    script: `
    cluster a b c + d e
    lead a
    cut a->b a->c
    change a addVoter d, addVoter e, remove b, remove c
    deliver a->d
    deliver a->e
    expect d members voters a d e, outgoing a b c
    crash a
    drop *->*
    tick d 10
    tick e 10
    tick b 10
    tick c 10
    campaign d
    run d e
    # Both new voters that are left agree, and that is not enough.
    expect d role preCandidate
    run
    expect d role leader
    live 4
    expect d members voters a d e
  `,
  }),
);

test(
  ...rule({
    source: "P 6",
    quote: "It replicates log entries but does not count itself in majorities",
    shows: "a leader that is leaving does not count its own log",
    script: `
    cluster a b c
    lead a
    isolate c
    change a remove a
    run
    expect a members voters b c, outgoing a b c
    expect a match b 2
    # Of the new voters only b has it; the leader itself is no second one.
    expect a commit 1
    expect a role leader
    heal
    unreachable a c
    live 3
    expect a role follower
    expect b members voters b c
  `,
  }),
);

test(
  ...rule({
    source: "P 6",
    quote:
      "the leader steps down (returns to follower state) once it has committed the Cnew log entry",
    shows: "a removed leader leads exactly until the new configuration is committed",
    script: `
    cluster a b c
    lead a
    change a remove a
    deliver a->b
    deliver a->c
    deliver b->a
    deliver c->a
    expect a role leader
    expect a members voters b c
    deliver a->b
    deliver b->a
    expect a role leader
    deliver a->c
    deliver c->a
    expect a role follower
  `,
  }),
);

test(
  ...rule({
    source: "D 4.2.1",
    quote:
      "the leader replicates log entries to it, but it is not yet counted towards majorities for voting or commitment purposes",
    shows: "a learner has everything and decides nothing",
    script: `
    cluster a b c + d
    lead a
    isolate b
    isolate c
    propose a x
    run
    expect a match d 2
    expect a commit 1
    tick d 100
    expect d role follower
  `,
  }),
);

test(
  ...rule({
    source: "D 4.2.1",
    quote: "a new server's log must be caught up",
    shows: "a learner that lags is not made a voter",
    script: `
    cluster a b c + d
    lead a
    isolate d
    propose a x
    propose a y
    propose a z
    run
    change a addVoter d
    expect outcome invalid_change
    heal
    unreachable a d
    live 4
    change a addVoter d
    expect outcome accepted
  `,
  }),
);

test(
  ...rule({
    source: "D 4.2.2",
    quote:
      "a server that is not part of its own latest configuration should still start new elections",
    shows: "a member that an uncommitted entry removes may have to lead to get it committed",
    script: `
    cluster a b c d
    lead a
    cut a->c a->d
    change a remove b
    deliver a->b
    expect b members voters a c d, outgoing a b c d
    crash a
    heal
    drop *->*
    tick b 10
    tick c 10
    tick d 10
    campaign b
    deliver b->*
    deliver *->b
    expect b role candidate
    deliver b->*
    deliver *->b
    expect b role leader
    run b c d
    expect c members voters a c d
    expect b role follower
  `,
  }),
);

test(
  ...rule({
    source: "D 4.2.3",
    quote: "removed servers can disrupt the cluster",
    shows: "a removed member that campaigns raises no terms",
    script: `
    cluster a b c d
    lead a
    isolate d
    change a remove d
    run
    expect a members voters a b c
    heal
    tick d 100
    run
    expect a role leader
    expect a term 1
    expect b term 1
  `,
  }),
);

test(
  ...rule({
    source: "P 6",
    quote: "a server always uses the latest configuration in its log",
    shows: "when the entry of a configuration is cut off, the one before it is used again",
    script: `
    cluster a b c + d
    lead a
    isolate a
    change a addVoter d
    expect a members voters a b c d, outgoing a b c
    tick b 10
    tick c 10
    campaign b
    run b c
    expect b role leader
    heal
    live 12
    expect a log 1 2
    expect a members voters a b c, learners d
  `,
  }),
);
