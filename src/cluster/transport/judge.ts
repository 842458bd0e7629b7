/** Whether a hello is from somebody to talk to. The same for both sides of a connection. */

import type { NodeId } from "../../raft/index.ts";
import { type Hello, PROTOCOL_MAX, PROTOCOL_MIN } from "../frames/hello.ts";
import type { RefusalReason } from "../metrics.ts";
import type { NodeIntroduction } from "../types.ts";
import type { Incarnations } from "./incarnations.ts";

export interface PeerRefusal {
  readonly reason: RefusalReason;
  /** A clause for people of either side. */
  readonly text: string;
}

export interface JudgeContext {
  readonly own: NodeIntroduction;
  readonly incarnations: Incarnations;
  /** Whom this side has dialled; "": whoever answers, or this side was dialled. */
  readonly expected: NodeId;
}

/** Null: welcome. */
export function judgeHello(hello: Hello, context: JudgeContext): PeerRefusal | null {
  const { own, incarnations, expected } = context;
  const { introduction, target } = hello;
  if (introduction.nodeId === own.nodeId) return selfRefusal(introduction, own);
  const clusterRefusal = judgeCluster(introduction, own);
  if (clusterRefusal !== null) return clusterRefusal;
  if (target !== "" && target !== own.nodeId) {
    const text = `this is node ${own.nodeId} (${own.serverId}), not node ${target}: its disk may have been replaced`;
    return { reason: "wrong_target", text };
  }
  if (expected !== "" && introduction.nodeId !== expected) {
    const text = `node ${introduction.nodeId} (${introduction.serverId}) answers, not node ${expected}: its disk may have been replaced`;
    return { reason: "wrong_target", text };
  }
  if (incarnations.isRetired(introduction)) {
    const text = `a later process of node ${introduction.nodeId} has taken over: its data directory may be in use twice`;
    return { reason: "old_incarnation", text };
  }
  return null;
}

/** Null: the two belong together, or one of them belongs to no cluster yet. */
export function judgeCluster(peer: NodeIntroduction, own: NodeIntroduction): PeerRefusal | null {
  if (peer.clusterId === "" || own.clusterId === "" || peer.clusterId === own.clusterId)
    return null;
  const text = `data of ${peer.serverId} belongs to cluster ${peer.clusterId}, data of ${own.serverId} to ${own.clusterId}`;
  return { reason: "wrong_cluster", text };
}

/** Version ranges are compared before anything else of a hello is read. */
export function judgeVersions(versionMin: number, versionMax: number): PeerRefusal | null {
  if (versionMin <= PROTOCOL_MAX && versionMax >= PROTOCOL_MIN) return null;
  const text = `peer protocol ${PROTOCOL_MIN} to ${PROTOCOL_MAX} is spoken here, ${versionMin} to ${versionMax} there`;
  return { reason: "unsupported_version", text };
}

function selfRefusal(introduction: NodeIntroduction, own: NodeIntroduction): PeerRefusal {
  const isThisProcess = introduction.bootNonce === own.bootNonce;
  const text = isThisProcess
    ? "the address leads back to this node"
    : `another process has the node id ${own.nodeId}: the data directory may have been copied`;
  return { reason: "is_self", text };
}
