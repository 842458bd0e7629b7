/**
 * What one seed is: sizes, which faults exist and how often, how much is written and read. Swarm: a run without a fault
 * class reaches states that a run with all of them never does.
 */

import type { Prng } from "../../src/base/index.ts";
import type { NetworkOptions } from "./network.ts";
import { logUniform, type Streams } from "./random.ts";

export const FAULT_CLASSES = [
  "crash",
  "power",
  "pause",
  "diskLoss",
  "loss",
  "partition",
  "oneWay",
  "clog",
  "disconnect",
  "slowDisk",
  "stalledDisk",
  "diskError",
  "diskFull",
  "bitFlip",
  "clock",
  "stall",
  "membership",
  "transfer",
  "snapshot",
] as const;

/** Of the profile `terms` alone (leader-trouble.ts; `echo`: network.ts). */
export const TERM_FAULTS = ["handOver", "strand", "standStill", "echo"] as const;
export type FaultClass = (typeof FAULT_CLASSES)[number] | (typeof TERM_FAULTS)[number];

export const PROFILES = ["default", "membership", "snapshot", "clock", "reads", "terms"] as const;
export type Profile = (typeof PROFILES)[number];

export interface Plan {
  readonly voters: number;
  readonly learners: number;
  /** Machines that are no members at first, for membership changes. */
  readonly spares: number;
  readonly faults: ReadonlySet<FaultClass>;
  /** Mean time between two faults of any kind, us. */
  readonly faultIntervalUs: number;
  readonly network: NetworkOptions;
  readonly clients: number;
  readonly thinkUs: number;
  readonly readShare: number;
  readonly keys: number;
  readonly snapshotLogBytes: number;
  readonly snapshotKeepEntries: number;
  /** Share of messages that pass through their encoding. */
  readonly codecShare: number;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly inflightMaxMessages: number;
}

export interface PlanOptions {
  readonly profile: Profile;
  /** Fault classes to leave out: for shrinking. */
  readonly without: ReadonlySet<string>;
}

const VOTERS = [1, 3, 3, 3, 5, 5, 7] as const;
/** Share of the seeds that have a given fault class. */
const FAULT_SHARE = 0.5;

export function drawPlan(streams: Streams, options: PlanOptions): Plan {
  const prng = streams.stream("plan");
  const plan = drawCommon(prng, options);
  return options.profile === "terms" ? withTermFaults(prng, plan, options.without) : plan;
}

/** Leaders change all the time, messages come back after they have, and logs are short. */
function withTermFaults(prng: Prng, plan: Plan, without: ReadonlySet<string>): Plan {
  const own = TERM_FAULTS.filter((name) => !without.has(name));
  const echoRate = own.includes("echo") ? prng.pick([0, 0.1, 0.3]) : 0;
  return {
    ...plan,
    voters: prng.pick([3, 5, 5, 5]),
    learners: 0,
    spares: 1,
    faults: new Set([...plan.faults, ...own]),
    faultIntervalUs: logUniform(prng, 60_000, 300_000),
    network: { ...plan.network, isOrdered: false, echoRate },
    snapshotLogBytes: prng.nextBetween(500, 4_000),
    snapshotKeepEntries: prng.pick([0, 0, 1]),
  };
}

function drawCommon(prng: Prng, { profile, without }: PlanOptions): Plan {
  const voters = prng.pick(VOTERS);
  const drawn = FAULT_CLASSES.filter(
    (name) => prng.nextChance(FAULT_SHARE) || isForced(profile, name),
  );
  const faults = new Set(drawn.filter((name) => !without.has(name)));
  const isOrdered = prng.nextChance(0.5);
  const electionTicks = prng.nextBetween(5, 12);
  return {
    voters,
    learners: prng.nextInt(3),
    spares: prng.nextBetween(1, 2),
    faults,
    faultIntervalUs: logUniform(prng, 80_000, 1_500_000),
    network: drawNetwork(prng, isOrdered, faults.has("loss")),
    clients: prng.nextBetween(2, 8),
    thinkUs: logUniform(prng, 2_000, 60_000),
    readShare: profile === "reads" ? 0.85 : prng.pick([0.2, 0.5, 0.8]),
    keys: prng.nextBetween(1, 6),
    snapshotLogBytes: faults.has("snapshot") ? prng.nextBetween(1_000, 12_000) : 200_000,
    snapshotKeepEntries: prng.pick([0, 1, 20]),
    codecShare: prng.pick([0, 0.02, 0.2]),
    electionTicks,
    heartbeatTicks: prng.nextBetween(1, Math.floor((electionTicks - 1) / 2)),
    inflightMaxMessages: prng.pick([1, 4, 32]),
  };
}

/** What makes leaders change while reads are under way. */
const READ_FAULTS: readonly FaultClass[] = ["transfer", "pause", "partition"];

function isForced(profile: Profile, name: FaultClass): boolean {
  if (name === "crash") return profile !== "default";
  return profile === name || (profile === "reads" && READ_FAULTS.includes(name));
}

function drawNetwork(prng: Prng, isOrdered: boolean, isLossy: boolean): NetworkOptions {
  const delayMeanUs = logUniform(prng, 100, 8_000);
  const lossRate = isLossy ? prng.nextFloat() * 0.3 : 0;
  return {
    isOrdered,
    delayMinUs: 50,
    delayMeanUs,
    // Every loss breaks a connection: as many as that would leave none standing.
    lossRate: isOrdered ? lossRate / 20 : lossRate,
    duplicateRate: isLossy ? prng.nextFloat() * 0.5 : 0,
    reorderRate: isLossy ? prng.nextFloat() * 0.2 : 0,
    echoRate: 0,
    queueMax: prng.pick([8, 64, 256]),
  };
}
