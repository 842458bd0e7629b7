/**
 * Disks without room. A leader gives way before it has to refuse a write; a follower falls behind when its last segment is
 * full, and the others go on without it. Both are whole again when there is room.
 */

import type { TestNode } from "../../support/cluster/index.ts";
import { randomFollower, recover, settle, work } from "./rounds.ts";
import type { Fault, FaultContext } from "./types.ts";

/** The load has to reach the point at which the log prepares its next segment. */
const GIVE_WAY_LIMIT_MS = 60_000;
const READY_LIMIT_MS = 60_000;

export const DISK_FULL: Fault = {
  name: "disk-full",
  about: "takes the room from the log of the leader or of a follower, and gives it back",
  coverage: ["fullLeaders", "fullFollowers", "writesWhileFull"],
  needsFaultyDisk: true,
  // The next segment is made in steps as the last one fills, so that a small one is asked for more of the time.
  flags: ["-hearth.log-segment-size=36MiB"],
  nodesMin: 3,
  async round(context, round) {
    const leader = await settle(context);
    const isLeader = round % 2 === 1;
    const node = isLeader ? leader : await randomFollower(context, leader);
    await filled(context, node, async () => {
      if (!isLeader) return;
      await context.cluster.waitForLeader(GIVE_WAY_LIMIT_MS, (other) => other !== node);
    });
    context.count(isLeader ? "fullLeaders" : "fullFollowers");
    context.say(`round ${round}: the disk of ${node.serverId} was full, led by ${leader.serverId}`);
    await work(context, 300, 1_000);
  },
};

async function filled(
  context: FaultContext,
  node: TestNode,
  seeOthers: () => Promise<void>,
): Promise<void> {
  const { load, count } = context;
  const writes = (): number => load.answeredByOthers([node.serverId]).writes;
  const before = writes();
  node.signal("SIGWINCH");
  await seeOthers();
  await recover(context, performance.now());
  await work(context, 1_000, 4_000);
  count("writesWhileFull", writes() - before);
  node.signal("SIGWINCH");
  await node.waitUntilReady(READY_LIMIT_MS);
}
