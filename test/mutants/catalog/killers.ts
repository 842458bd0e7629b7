/** Killers that many mutants share, and the names of invariants that they may die of. */

import type { Killer } from "../types.ts";

/** Invariants of the simulator that say that something was promised, or read, or applied, that does not hold. */
const SIM_SAFETY = [
  "election-safety",
  "leader-append-only",
  "log-matching",
  "leader-completeness",
  "state-machine-safety",
  "state-checksum",
  "durable-quorum",
  "durable-kept",
  "committed-kept",
  "commit-monotone",
  "commit-own-term",
  "commit-in-log",
  "reply-durable",
  "vote-once",
  "term-monotone",
  "quorums-overlap",
  "applied-durable",
  "applied-committed",
  "acknowledged-place",
  "acknowledged-applied",
  "exactly-once",
  "stale-read",
  "read-value",
  "real-time-write",
  "liveness-acknowledged",
  "configuration",
  "change-pending",
  "match-durable",
  "log-time",
];

export const SAFETY = new RegExp(`^(${SIM_SAFETY.join("|")}):`);
export const READS =
  /^(stale-read|read-value|read-grant|term-published|real-time-write|read-transaction):/;
export const LIVENESS = /^liveness-/;

const SEEDS_MAX = 2_000;

/** Leaders that were replaced and do not know it yet. */
export const TERMS = ["--profile", "terms"];
/** Proposals that only a few have seen, leaders that come back, and messages that come late; nothing else breaks. */
export const STRANDED = [
  ...["--phase", "safety", ...TERMS, "--without"],
  "crash,power,pause,diskLoss,partition,oneWay,clog,disconnect,slowDisk,stalledDisk,diskError,diskFull," +
    "bitFlip,clock,stall,membership,transfer,handOver,standStill",
];

/** The simulator. `args` such as `--profile membership`. */
export function sim(expect: RegExp = SAFETY, args: readonly string[] = []): Killer {
  return { kind: "sim", args, seedsMax: SEEDS_MAX, expect };
}

/** A search of `test/explore`; what is expected begins with the name of the invariant. */
export function explore(scenario: string, expect: RegExp, states = 1_000_000): Killer {
  const args = ["--scenario", scenario, "--states", String(states)];
  return { kind: "explore", args, expect };
}
