/**
 * Rules of the Raft paper ("In Search of an Understandable Consensus Algorithm", extended version, "P") and of
 * Ongaro's dissertation ("D"). Log compaction and snapshots.
 */

import { test } from "node:test";
import { rule } from "./support.ts";

test(
  ...rule({
    source: "P 7",
    quote: "the leader must occasionally send snapshots to followers that lag behind",
    shows: "what is no longer in the log travels as a snapshot, and then appends go on",
    script: `
    option tailMaxBytes 0
    cluster a b c
    lead a
    isolate c
    propose a x y z
    run
    snapshot a
    compact a 4
    heal
    unreachable a c
    live 12
    expect c applied 4
    expect c first 5
    expect a progress c replicate
    propose a w
    run
    expect a match c 5
  `,
  }),
);

test(
  ...rule({
    source: "P 7",
    quote:
      "the follower discards its entire log; it is all superseded by the snapshot and may possibly have uncommitted entries that conflict with the snapshot",
    shows: "a log that does not have the snapshot's last entry goes",
    script: `
    option tailMaxBytes 0
    cluster a b c
    log a 1 2 2
    log b 1 2 2
    log c 1 1 1 1 1 1
    campaign a
    run a b
    drop *->*
    snapshot a
    compact a 4
    unreachable a c
    live 12
    expect c last 4
    expect c log -
    expect c applied 4
  `,
  }),
);

test(
  ...rule({
    source: "P 7",
    quote: "entries following the snapshot are still valid and must be retained",
    shows: "a snapshot of a prefix does not take what is behind it",
    script: `
    option tailMaxBytes 0
    cluster a b c
    lead a
    isolate c
    propose a x y
    run
    snapshot a
    compact a 3
    heal
    unreachable a c
    tick a 2
    deliver a->c
    deliver c->a
    expect a progress c snapshot
    # Held up in the network until c has everything and more.
    dup a->c
    propose a z
    live 12
    expect c last 4
    expect c commit 4
    expect a match c 4
  `,
  }),
);

test(
  ...rule({
    source: "P 7",
    quote:
      "the snapshot also includes the latest configuration in the log as of last included index",
    shows: "the configuration comes with the snapshot, and survives a restart",
    script: `
    option tailMaxBytes 0
    cluster a b c + d
    lead a
    isolate c
    change a addVoter d
    run
    live 2
    snapshot a
    compact a 3
    heal
    unreachable a c
    live 12
    expect c members voters a b c d
    crash c
    restart c
    expect c members voters a b c d
  `,
  }),
);
