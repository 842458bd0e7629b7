/** What a fault is: it breaks the cluster again and again while clients work, and lets it heal each time. */

import type { Prng } from "../../../src/base/index.ts";
import type { PeerProxies, TestCluster } from "../../support/cluster/index.ts";
import type { Violation } from "../history.ts";
import type { Load } from "../load/load.ts";

export interface FaultContext {
  readonly cluster: TestCluster;
  readonly load: Load;
  /** Between the peers; null unless the fault asked for them. */
  readonly proxies: PeerProxies | null;
  readonly random: Prng;
  /** How large a state to make, for faults that are about its size. */
  readonly stateMiB: number;
  /** Counts something that has really happened; what a fault lists as `coverage` must not stay at zero. */
  count(name: string, by?: number): void;
  /** Keeps the largest value of that name. */
  noteMost(name: string, value: number): void;
  /** Time without service, ms: from the fault to the first acknowledged write that began after it. */
  noteRecovery(durationMs: number): void;
  noteViolation(violation: Violation): void;
  say(text: string): void;
}

export interface Fault {
  readonly name: string;
  /** One sentence, for --help. */
  readonly about: string;
  /** Counters that must be above zero at the end of a run. */
  readonly coverage: readonly string[];
  /** Peers reach each other through proxies. */
  readonly needsProxies?: boolean;
  /** Nodes run over a disk that can be told to break (test/support/cluster/faulty-server.ts). */
  readonly needsFaultyDisk?: boolean;
  /** Further flags of every node. */
  readonly flags?: readonly string[];
  /** Fewest nodes that it makes sense with. Default: 1. */
  readonly nodesMin?: number;
  /** A longer time without service fails the run. Default: reported only. */
  readonly recoveryMaxMs?: number;
  /** The same for the 99th percentile. */
  readonly recoveryP99MaxMs?: number;
  /** One round: wait until all is well, break, see what goes on, heal. */
  round(context: FaultContext, round: number): Promise<void>;
  /** Once, at the end, when no client works any more and every node has applied all there is. */
  settled?(context: FaultContext): Promise<void>;
}
