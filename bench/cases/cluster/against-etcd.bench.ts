/**
 * Three processes of ours against three of etcd, all on this machine at the same time, measured in turns: the same
 * number of connections with one request in flight each, the same size of value, every write synced to the disks of a
 * majority before it is answered, every read linearizable. Both load generators write prebuilt bytes onto plain sockets.
 */

import { join } from "node:path";
import { TestCluster, type TestNode } from "../../../test/support/cluster/index.ts";
import type { BenchCase, BenchContext, PreparedCase, Subject } from "../../harness/index.ts";
import {
  ETCD_MISSING,
  type EtcdCluster,
  etcdLeader,
  etcdPutLane,
  etcdRangeLane,
  findEtcd,
  startEtcd,
} from "../../support/cluster/etcd.ts";
import { addBlockLane, blockBytes, blockReadLane } from "../../support/cluster/hearth.ts";
import { type Lane, runLanes } from "../../support/cluster/lane.ts";
import { warmUpByCount } from "../../support/cluster/warm-up.ts";

const NODES = 3;
const CLIENTS = 64;
const VALUE_BYTES = 1024;
/** Read again and again; few enough to be in every cache of both. */
const READ_KEYS = 1_000;
const WARM_UP_MS = 8_000;
const WRITE_SAMPLE_MS = 1_500;
/**
 * One client's requests are so far from what the machine can do that what others take of it decides, and that changes by the
 * second: many short samples in turns. A sample has some hundred requests.
 */
const LONE_SAMPLE_MS = 600;
const LONE_PAIRS = 25;
const READ_SAMPLE_MS = 1_000;

interface Rivals {
  readonly ours: TestCluster;
  readonly etcd: EtcdCluster | null;
}

/** Makes the lanes of one side. `node` draws the node of a lane. */
interface Sides {
  readonly ours: (node: TestNode, lane: number) => Promise<Lane>;
  readonly etcd: (cluster: EtcdCluster, node: number, lane: number) => Promise<Lane>;
}

async function startRivals(context: BenchContext): Promise<Rivals> {
  const version = findEtcd((text) => context.progress(text));
  const ours = await TestCluster.create({
    directory: join(context.directory, "hearth"),
    nodeCount: NODES,
    flags: ["-hearth.reader-threads=1", "-log.level=error"],
  });
  await ours.start();
  if (version === null) return { ours, etcd: null };
  context.fact("etcd", version);
  return { ours, etcd: await startEtcd(join(context.directory, "etcd"), NODES, version) };
}

interface CaseShape {
  readonly title: string;
  readonly clients: number;
  /** Where requests go: writes to the leader, which both sides' clients find out; reads to all. */
  readonly to: "leader" | "all";
  readonly sides: Sides;
  /** Writes READ_KEYS values first. */
  readonly isFilled?: boolean;
}

async function prepare(context: BenchContext, shape: CaseShape): Promise<PreparedCase> {
  const { ours, etcd } = await startRivals(context);
  const lanes: Lane[] = [];
  const close = async (): Promise<void> => {
    for (const lane of lanes) lane.close();
    await etcd?.stop();
    await ours.killAll();
  };
  try {
    context.fact("block bytes", blockBytes(0, VALUE_BYTES).length);
    if (shape.isFilled === true) await fill({ ours, etcd });
    const leader = await ours.waitForLeader();
    const openOurs = (i: number): Promise<Lane> => {
      const node = shape.to === "leader" ? leader : (ours.nodes[i % NODES] as TestNode);
      return shape.sides.ours(node, i);
    };
    await warmUp(context, shape, openOurs);
    const oursLanes = await openLanes(shape, lanes, openOurs);
    const oursPids = ours.nodes.map(({ pid }) => pid as number);
    const subject = laneSubject(`hearth: ${shape.title}`, oursLanes, oursPids);
    if (etcd === null) return { ours: subject, limitMissing: ETCD_MISSING, close };
    const etcdLeads = await etcdLeader(etcd);
    const openEtcd = (i: number): Promise<Lane> =>
      shape.sides.etcd(etcd, shape.to === "leader" ? etcdLeads : i % NODES, i);
    await warmUp(context, shape, openEtcd);
    const etcdLanes = await openLanes(shape, lanes, openEtcd);
    const etcdPids = etcd.nodes.map(({ pid }) => pid);
    return {
      ours: subject,
      limit: laneSubject(`etcd: ${shape.title}`, etcdLanes, etcdPids),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Both sides alike, before any lane of the measurement is there. Many clients warm a side up while they are sampled. */
async function warmUp(
  context: BenchContext,
  { title, clients }: CaseShape,
  open: (lane: number) => Promise<Lane>,
): Promise<void> {
  if (clients >= CLIENTS) return;
  context.progress(`${title}: warming up`);
  await warmUpByCount(open);
}

async function openLanes(
  { clients }: CaseShape,
  all: Lane[],
  open: (lane: number) => Promise<Lane>,
): Promise<Lane[]> {
  const lanes = await Promise.all(Array.from({ length: clients }, (_, i) => open(i)));
  all.push(...lanes);
  return lanes;
}

function laneSubject(name: string, lanes: readonly Lane[], pids: readonly number[]): Subject {
  return { name, sample: (targetMs) => runLanes(lanes, targetMs, pids) };
}

/** The values that are read: lane 0 of both sides writes them. */
async function fill({ ours, etcd }: Rivals): Promise<void> {
  const leader = await ours.waitForLeader();
  const lanes = [await addBlockLane(leader, 0, VALUE_BYTES)];
  const node = etcd?.nodes[0];
  if (node !== undefined) lanes.push(await etcdPutLane(node, 0, VALUE_BYTES));
  for (const lane of lanes) {
    for (let i = 0; i < READ_KEYS; i++) await new Promise<void>((resolve) => lane.send(resolve));
    lane.close();
  }
}

const WRITES: Sides = {
  ours: (node, lane) => addBlockLane(node, lane, VALUE_BYTES),
  etcd: ({ nodes }, node, lane) =>
    etcdPutLane(nodes[node] as EtcdCluster["nodes"][number], lane, VALUE_BYTES),
};

const READS: Sides = {
  ours: (node, lane) =>
    blockReadLane(node, lane, {
      blockCount: READ_KEYS,
      blockMinBytes: VALUE_BYTES / 2,
      consistency: "strong",
    }),
  etcd: ({ nodes }, node, lane) =>
    etcdRangeLane(nodes[node] as EtcdCluster["nodes"][number], lane, {
      keyCount: READ_KEYS,
      valueBytes: VALUE_BYTES,
    }),
};

export const cases: readonly BenchCase[] = [
  {
    name: "cluster/write/64-clients-1kib",
    about: "Durable writes of 1 KiB by 64 clients to three processes on one machine, against etcd.",
    goals: [
      { metric: "rate", form: "ours/limit", atLeast: 2 },
      { metric: "p99Us", form: "ours/limit" },
    ],
    sampleMs: WRITE_SAMPLE_MS,
    warmUpMs: WARM_UP_MS,
    isLong: true,
    prepare: (context) =>
      prepare(context, { title: "64 writers", clients: CLIENTS, to: "leader", sides: WRITES }),
  },
  {
    name: "cluster/write/one-client",
    about: "One client, one durable write of 1 KiB at a time, against etcd.",
    goals: [{ metric: "p50Us", form: "ours/limit", atMost: 1 }],
    sampleMs: LONE_SAMPLE_MS,
    pairs: LONE_PAIRS,
    warmUpMs: WARM_UP_MS,
    isLong: true,
    prepare: (context) =>
      prepare(context, { title: "one writer", clients: 1, to: "leader", sides: WRITES }),
  },
  {
    name: "cluster/read/64-clients",
    about: "Linearizable reads of 1 KiB by 64 clients, spread over three nodes, against etcd.",
    goals: [
      { metric: "rate", form: "ours/limit", atLeast: 3 },
      { metric: "p99Us", form: "ours/limit" },
    ],
    sampleMs: READ_SAMPLE_MS,
    warmUpMs: WARM_UP_MS,
    isLong: true,
    prepare: (context) =>
      prepare(context, {
        title: "64 readers",
        clients: CLIENTS,
        to: "all",
        sides: READS,
        isFilled: true,
      }),
  },
];
