/**
 * Rules of the Raft paper ("In Search of an Understandable Consensus Algorithm", extended version, "P") and of
 * Ongaro's dissertation ("D"). Linearizable reads and leadership transfer.
 */

import { test } from "node:test";
import { rule } from "./support.ts";

test(
  ...rule({
    source: "D 6.4",
    quote:
      "If the leader has not yet marked an entry from its current term committed, it waits until it has done so",
    shows: "a read of a new leader waits for its no-op",
    script: `
    cluster a b c
    log a 1 1
    log b 1 1
    log c 1 1
    campaign a
    deliver a->b
    deliver b->a
    deliver a->b
    deliver b->a
    expect a role leader
    read a
    tick a 2
    expect a read 1 waiting
    run
    expect a commit 3
    live 4
    expect a read 1 3
  `,
  }),
);

test(
  ...rule({
    source: "D 6.4",
    quote:
      "it issues a new round of heartbeats and waits for their acknowledgments from a majority of the cluster",
    shows: "a read is granted with the majority's answer, and not by answers to earlier heartbeats",
    script: `
    cluster a b c
    lead a
    tick a 2
    deliver a->b
    deliver a->c
    # These answers were under way when the read came.
    read a
    deliver b->a
    deliver c->a
    expect a read 1 waiting
    deliver a->b
    deliver b->a
    expect a read 1 1
  `,
  }),
);

test(
  ...rule({
    source: "P 8",
    quote: "a leader must check whether it has been deposed before processing a read-only request",
    shows: "a deposed leader grants nothing",
    script: `
    cluster a b c
    lead a
    isolate a
    tick b 10
    tick c 10
    campaign b
    run b c
    propose b x
    run b c
    read a
    tick a 30
    expect a read 1 waiting
  `,
  }),
);

test(
  ...rule({
    source: "D 6.4",
    quote: "The leader saves its current commit index in a local variable readIndex",
    shows: "what was committed when the read came is seen by it",
    script: `
    cluster a b c
    lead a
    propose a x
    run
    expect a commit 2
    read a
    run
    expect a read 1 2
  `,
  }),
);

test(
  ...rule({
    source: "D 6.4",
    quote:
      "the follower could issue a request to the leader that just asked for a current readIndex",
    shows: "a follower reads with an index of its leader",
    script: `
    cluster a b c
    lead a
    cut a->b
    propose a x
    run a c
    expect a commit 2
    heal
    read b
    expect b->a readIndex
    run
    live 4
    expect b read 1 2
    expect b applied 2
  `,
  }),
);

test(
  ...rule({
    source: "D 3.10",
    quote: "The prior leader stops accepting new client requests",
    shows: "proposals are refused during a transfer",
    script: `
    cluster a b c
    lead a
    transfer a b
    propose a x
    expect outcome transferring
    change a remove c
    expect a last 1
  `,
  }),
);

test(
  ...rule({
    source: "D 3.10",
    quote: "The prior leader fully updates the target server's log to match its own",
    shows: "a target that lags gets the entries before the order to campaign",
    script: `
    cluster a b c
    lead a
    cut a->b
    propose a x
    run a c
    heal
    transfer a b
    live 4
    expect b role leader
    expect b log 1 1 2
    expect b term 2
  `,
  }),
);

test(
  ...rule({
    source: "D 3.10",
    quote: "The prior leader sends a TimeoutNow request to the target server",
    shows: "the target campaigns at once, and stickiness does not stop it",
    script: `
    cluster a b c
    lead a
    transfer a c
    run
    expect c role leader
    expect c term 2
    expect a role follower
    expect b leader c
  `,
  }),
);

test(
  ...rule({
    source: "D 3.10",
    quote:
      "If leadership transfer does not complete after about an election timeout, the prior leader aborts the transfer and resumes accepting client requests",
    shows: "an unreachable target does not cost the leadership",
    script: `
    cluster a b c
    lead a
    isolate b
    transfer a b
    expect outcome accepted
    live 11
    expect a role leader
    expect a transfers -
    propose a x
    expect outcome accepted
    run
    expect a commit 2
  `,
  }),
);
