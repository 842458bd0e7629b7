/**
 * Strangers at the peer port: bytes that are no frames, hellos of another cluster, connections that say nothing, and a
 * whole node of another cluster that is to be added. All are refused, said so in the log, and nothing else happens: the
 * leader and its term stay what they were.
 */

import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeControl, FRAME } from "../../../src/cluster/frames/frame.ts";
import { encodeHello } from "../../../src/cluster/frames/hello.ts";
import { TestCluster, type TestNode } from "../../support/cluster/index.ts";
import { settle, work } from "./rounds.ts";
import type { Fault, FaultContext } from "./types.ts";

const SILENT_CONNECTIONS = 80;
const ANSWER_LIMIT_MS = 3_000;
const REFUSAL = "peer refused";

export const HOSTILE: Fault = {
  name: "hostile",
  about: "garbage, floods, and nodes of another cluster at the peer ports",
  coverage: ["garbage", "foreignHellos", "silentConnections", "foreignNodes", "refusalsLogged"],
  nodesMin: 3,
  async round(context, round) {
    const { cluster, count, noteViolation } = context;
    await settle(context);
    const before = await cluster.leaderAndTerm();
    const loggedBefore = refusalsLogged(cluster.nodes);
    for (const node of cluster.nodes) await visit(context, node);
    await addForeignNode(context, round);
    await work(context, 500, 1_500);
    const after = await cluster.leaderAndTerm();
    if (before === null || after?.node !== before.node || after.term !== before.term) {
      const show = (who: typeof before): string => `${who?.node.serverId} in term ${who?.term}`;
      const text = `strangers moved the leadership from ${show(before)} to ${show(after)}`;
      noteViolation({ check: "hostile", text });
    }
    count("refusalsLogged", refusalsLogged(cluster.nodes) - loggedBefore);
    context.say(`round ${round}: strangers at every peer port`);
  },
};

async function visit({ count, random }: FaultContext, node: TestNode): Promise<void> {
  const port = node.ports.peer;
  const garbage: readonly Uint8Array[] = [
    randomBytes(random.nextBetween(1, 70_000)),
    Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    // The magic of a frame and then nonsense; a frame that claims to be long; a frame of another kind than a hello.
    Buffer.concat([Buffer.from("HPTF"), randomBytes(64)]),
    Buffer.concat([Buffer.from("HPTF"), Buffer.alloc(12, 0xff)]),
    Buffer.concat(encodeControl(FRAME.ping)),
  ];
  for (const bytes of garbage) await send(port, bytes);
  count("garbage", garbage.length);
  await send(port, foreignHello(node.serverId));
  count("foreignHellos");
  const silent = Array.from({ length: SILENT_CONNECTIONS }, () => connect(port, "127.0.0.1"));
  for (const socket of silent) socket.on("error", () => {});
  await sleep(random.nextBetween(50, 300));
  for (const socket of silent) socket.destroy();
  count("silentConnections", silent.length);
}

/** Sends bytes and waits until the other side ends the connection, or for a while. */
function send(port: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    const timer = setTimeout(() => socket.destroy(), ANSWER_LIMIT_MS);
    socket.on("error", () => {});
    socket.resume();
    socket.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function foreignHello(serverId: string): Buffer {
  const introduction = {
    clusterId: randomBytes(4).toString("hex"),
    nodeId: randomBytes(8).toString("hex"),
    serverId: `stranger-of-${serverId}`,
    addresses: { peer: "127.0.0.1:1", http: "", websocket: "" },
    version: "0.0.0",
    bootNonce: randomBytes(8).toString("hex"),
  };
  return Buffer.concat(encodeHello({ introduction, target: "", dial: 1, link: "peer" }));
}

/** A node that leads a cluster of its own is asked to become a member here. */
async function addForeignNode(context: FaultContext, round: number): Promise<void> {
  const { cluster, count, noteViolation } = context;
  const leader = await cluster.waitForLeader();
  const foreign = await TestCluster.create({
    directory: join(leader.directory, "..", `foreign-${round}`),
    nodeCount: 1,
  });
  try {
    await foreign.start();
    const stranger = foreign.nodes[0] as TestNode;
    const refusal = await leader
      .postJson("/api/v1/members", { address: stranger.peerAddress }, ANSWER_LIMIT_MS)
      .then(() => null)
      .catch((error: Error) => error.message);
    count("foreignNodes");
    if (refusal?.includes("cluster") === true) return;
    const text = `a node of another cluster was asked to join: ${refusal ?? "it was added"}`;
    noteViolation({ check: "hostile", text });
  } finally {
    await foreign.killAll();
  }
}

function refusalsLogged(nodes: readonly TestNode[]): number {
  return nodes.reduce((sum, { output }) => sum + output.split(REFUSAL).length - 1, 0);
}
