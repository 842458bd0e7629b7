/** What the driver needs of the network and of snapshot files; the simulator puts its own in their place. */

import type { MembershipAt, Message, NodeId, SnapshotMeta } from "../raft/index.ts";

export interface PeerReceiver {
  /** One decoded message of a member of this cluster, of its current boot. */
  onMessage(message: Message): void;
  /** The connection to a peer was lost, or its queue overflowed and was closed: messages may be missing. */
  onUnreachable(peer: NodeId): void;
}

export interface PeerTransport {
  setReceiver(receiver: PeerReceiver): void;
  /** Queues; in order per peer while the connection lasts. Bodies are borrowed until the bytes are on their way. */
  send(message: Message): void;
}

/** One voter has nobody to talk to. */
export const NO_PEERS: PeerTransport = { setReceiver: () => {}, send: () => {} };

/** A consistent image of the state, handed out in pieces. */
export interface SnapshotSource {
  readonly index: number;
  readonly term: number;
  /** The next piece, of any size above 0; null at the end. */
  next(): Promise<Uint8Array | null>;
  close(): void;
}

/** Known before the first byte of a snapshot. */
export interface SnapshotHead {
  readonly index: number;
  readonly term: number;
  readonly membership: MembershipAt;
  readonly appendedAtMs: number;
}

/** Snapshot files of one member (src/snapshot). Every promise rejects with a HearthError when the disk fails. */
export interface SnapshotStore {
  /** The newest complete, verified one. */
  readonly latest: SnapshotMeta | null;
  /** Writes, syncs, reads back and verifies; only then it has a name and is `latest`. */
  take(head: SnapshotHead, source: SnapshotSource): Promise<SnapshotMeta>;
  /** Bytes of one chunk, or null when the snapshot is gone. */
  readChunk(id: string, chunk: number): Promise<Uint8Array | null>;
  /** Keeps a chunk that has arrived; answers the chunk missing next. Chunks out of order are not kept. */
  storeChunk(meta: SnapshotMeta, chunk: number, bytes: Uint8Array): Promise<number>;
  /** All chunks are here: verifies the whole against meta. False: damaged, and what was received is gone. */
  completeReceived(meta: SnapshotMeta): Promise<boolean>;
  /** Chunks in order, each verified, for installing. */
  open(meta: SnapshotMeta): SnapshotSource;
  /** Keeps the newest `count` complete ones and drops partial ones that nobody is receiving. */
  retain(count: number): Promise<void>;
}
