/**
 * What a linearizable read costs over a local one when nobody else asks: a follower has to ask the leader, and the
 * leader a majority. The limit is a local read on the same follower and one bare round trip between two processes.
 */

import { join } from "node:path";
import { TestCluster } from "../../../test/support/cluster/index.ts";
import type {
  BenchCase,
  BenchContext,
  PreparedCase,
  Sample,
  Subject,
} from "../../harness/index.ts";
import { addBlockLane, blockReadLane } from "../../support/cluster/hearth.ts";
import { type Lane, runLanes } from "../../support/cluster/lane.ts";
import { warmUpByCount } from "../../support/cluster/warm-up.ts";
import { startEcho } from "../../support/processes.ts";
import { buildFrame, RawWebSocket } from "../../support/raw-websocket.ts";

const NODES = 3;
const BLOCKS = 100;
const BLOCK_BYTES = 1024;
/** About what a peer frame of a read round takes. */
const ECHO_BYTES = 128;
const ADDED_MAX_US = 200;

async function prepare(context: BenchContext): Promise<PreparedCase> {
  const cluster = await TestCluster.create({
    directory: join(context.directory, "hearth"),
    nodeCount: NODES,
    flags: ["-hearth.reader-threads=1", "-log.level=error"],
  });
  await cluster.start();
  const leader = await cluster.waitForLeader();
  const writer = await addBlockLane(leader, 0, BLOCK_BYTES);
  for (let i = 0; i < BLOCKS; i++) await new Promise<void>((resolve) => writer.send(resolve));
  writer.close();
  const follower = cluster.nodes.find((node) => node !== leader) ?? leader;
  const reads = { blockCount: BLOCKS, blockMinBytes: BLOCK_BYTES / 2 };
  context.progress("warming up");
  for (const consistency of ["strong", "local"] as const) {
    await warmUpByCount((lane) => blockReadLane(follower, lane, { ...reads, consistency }));
  }
  const strong = await blockReadLane(follower, 0, { ...reads, consistency: "strong" });
  const local = await blockReadLane(follower, 0, { ...reads, consistency: "local" });
  const echo = await startEcho(ECHO_BYTES);
  const echoSocket = await RawWebSocket.connect(echo.port);
  const pids = cluster.nodes.map(({ pid }) => pid as number);
  return {
    ours: { name: "strong read", sample: (targetMs) => runLanes([strong], targetMs, pids) },
    limit: localAndRoundTrip(local, echoSocket, pids),
    close: async () => {
      for (const lane of [strong, local]) lane.close();
      echoSocket.close();
      await echo.stop();
      await cluster.killAll();
    },
  };
}

function localAndRoundTrip(local: Lane, echo: RawWebSocket, pids: readonly number[]): Subject {
  const frame = buildFrame(new Uint8Array(ECHO_BYTES));
  const both: Lane = {
    send(done) {
      local.send(() => {
        echo.onMessage = () => done();
        echo.write(frame);
      });
    },
    close: () => {},
  };
  const sample = (targetMs: number): Promise<Sample> => runLanes([both], targetMs, pids);
  return { name: "local read and a bare round trip", sample };
}

export const cases: readonly BenchCase[] = [
  {
    name: "cluster/read/read-index-idle",
    about: "A strong read on a follower of an idle cluster, over a local read and one round trip.",
    goals: [{ metric: "p50Us", form: "ours-limit", atMost: ADDED_MAX_US }],
    // Many short samples: what others take of the machine changes by the second, and more than what is measured.
    sampleMs: 300,
    pairs: 25,
    warmUpMs: 4_000,
    isLong: true,
    prepare,
  },
];
