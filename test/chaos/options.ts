/** The command line of `npm run chaos`. */

import { parseCommandLine, wholeNumber } from "../support/command-line.ts";
import { FAULTS } from "./faults/index.ts";

export interface ChaosOptions {
  readonly seed: number;
  readonly nodeCount: number;
  readonly fault: string;
  readonly times: number;
  readonly workload: Workload;
  /** Answered strong reads to reach before the run ends; 0: as many as come. */
  readonly reads: number;
  readonly clientCount: number;
  readonly readerThreads: number;
  /** Snapshots every few seconds and a short log: who was away is brought back by a snapshot. */
  readonly snapshots: boolean;
  /** Size of the state that `install` and `overload` make. */
  readonly stateMiB: number;
  /** Limits of the time without service are taken times this: on a slow machine they say nothing about the cluster. */
  readonly recoveryFactor: number;
  /** The directory is not removed, also after a pass. */
  readonly keep: boolean;
}

export const WORKLOADS = ["mixed", "reads"] as const;
export type Workload = (typeof WORKLOADS)[number];

const NODES_MAX = 7;
/** A second or two to make and to move. */
const STATE_DEFAULT_MIB = 16;
const STATE_MAX_MIB = 16 * 1024;
const SEED_MAX = 2 ** 31;

export const USAGE = `npm run chaos -- [options]: real server processes, faults, and checks of what clients saw
  --fault NAME       ${FAULTS.map(({ name, about }) => `${name}: ${about}`).join("\n                     ")}
  --times N          rounds of the fault, 5
  --workload NAME    mixed (writes and reads) or reads
  --reads N          go on until so many strong reads were answered
  --nodes N          3
  --clients N        32
  --reader-threads N per node, 2
  --seed N           what is drawn; timing is not repeated
  --snapshots        snapshots every few seconds and a short log, so that they are installed, too
  --state-mib N      size of the state that install moves and overload asks for, ${STATE_DEFAULT_MIB}
  --recovery-factor N  limits of the time without service, times N, 1: for machines slower than those they are for
  --keep             keep directories and the history`;

/** Errors: throws with a sentence for a value that makes no sense. */
export function parseOptions(argv: readonly string[]): ChaosOptions | null {
  const parsed = parseCommandLine(
    {
      fault: { type: "string", default: "kill-leader" },
      times: { type: "string", default: "5" },
      workload: { type: "string", default: "mixed" },
      reads: { type: "string", default: "0" },
      nodes: { type: "string", default: "3" },
      clients: { type: "string", default: "32" },
      "reader-threads": { type: "string", default: "2" },
      seed: { type: "string" },
      snapshots: { type: "boolean", default: false },
      "state-mib": { type: "string", default: String(STATE_DEFAULT_MIB) },
      "recovery-factor": { type: "string", default: "1" },
      keep: { type: "boolean", default: false },
    },
    argv,
  );
  if (parsed === null) return null;
  const { values } = parsed;
  const fault = FAULTS.find(({ name }) => name === values.fault);
  if (fault === undefined) {
    const names = FAULTS.map(({ name }) => name).join(", ");
    throw new Error(`--fault ${values.fault} is unknown; there are ${names}`);
  }
  const workload = WORKLOADS.find((name) => name === values.workload);
  if (workload === undefined) throw new Error(`--workload is one of ${WORKLOADS.join(", ")}`);
  const seed = values.seed ?? String(Math.floor(Math.random() * SEED_MAX));
  return {
    seed: wholeNumber("seed", seed, 0, SEED_MAX),
    nodeCount: wholeNumber("nodes", values.nodes, fault.nodesMin ?? 1, NODES_MAX),
    fault: fault.name,
    times: wholeNumber("times", values.times, 0, 100_000),
    workload,
    reads: wholeNumber("reads", values.reads, 0, 100_000_000),
    clientCount: wholeNumber("clients", values.clients, 1, 1_000),
    readerThreads: wholeNumber("reader-threads", values["reader-threads"], 1, 8),
    snapshots: values.snapshots,
    stateMiB: wholeNumber("state-mib", values["state-mib"], 1, STATE_MAX_MIB),
    recoveryFactor: wholeNumber("recovery-factor", values["recovery-factor"], 1, 100),
    keep: values.keep,
  };
}

/** The command that draws the same again. */
export function replayLine(options: ChaosOptions): string {
  const { fault, times, workload, reads, nodeCount, clientCount, readerThreads, seed } = options;
  return (
    `npm run chaos -- --fault ${fault} --times ${times} --workload ${workload} --reads ${reads} ` +
    `--nodes ${nodeCount} --clients ${clientCount} --reader-threads ${readerThreads} --seed ${seed}` +
    (options.snapshots ? " --snapshots" : "") +
    (options.recoveryFactor === 1 ? "" : ` --recovery-factor ${options.recoveryFactor}`) +
    (options.stateMiB === STATE_DEFAULT_MIB ? "" : ` --state-mib ${options.stateMiB}`)
  );
}
