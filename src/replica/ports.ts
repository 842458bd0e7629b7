/** What the driver needs of the network and of snapshot files; the simulator puts its own in their place. */

import type { Message, NodeId } from "../raft/index.ts";

export interface PeerReceiver {
  /** One decoded message of a member of this cluster, of its current boot. */
  onMessage(message: Message): void;
  /** The connection to a peer was lost, or its queue overflowed and was closed: messages may be missing. */
  onUnreachable(peer: NodeId): void;
  /** What arrived together from one peer was handed over. Called only by a transport that says so. */
  onArrived(): void;
}

export interface PeerTransport {
  setReceiver(receiver: PeerReceiver): void;
  /** Queues; in order per peer while the connection lasts. Bodies are borrowed until the bytes are on their way. */
  send(message: Message): void;
  /** Gives the system what was queued; without it that happens at the end of the callback of the event loop. */
  flush?(): void;
  /** Every `onMessage` is followed by an `onArrived` in the same callback. Left out: it is not. */
  readonly saysArrived?: boolean;
}

/** One voter has nobody to talk to. */
export const NO_PEERS: PeerTransport = { setReceiver: () => {}, send: () => {} };

/** Declared where they are implemented, since src/snapshot may not look up here. */
export type {
  SnapshotErrorReason,
  SnapshotHead,
  SnapshotSource,
  SnapshotStore,
} from "../snapshot/index.ts";
