/**
 * What the network between members offers: Raft messages in order, small requests with answers, and who is reachable.
 * src/cluster/DESIGN.md has the frames; nothing here knows sockets, so that tests and the simulator can stand in.
 */

import type { HearthError } from "../base/index.ts";
import type { Member, Message, NodeId } from "../raft/index.ts";

/** Where a node can be reached; told to peers in the hello, and again when it changes. Empty: not offered. */
export interface NodeAddresses {
  /** What other members dial. */
  readonly peer: string;
  /** HTTP: status, metrics, administration. */
  readonly http: string;
  /** Binary protocol for clients; what a leader hint on that protocol names. */
  readonly websocket: string;
}

/** How one process introduces itself to its peers. */
export interface NodeIntroduction {
  /** Empty until the directory belongs to a cluster. */
  readonly clusterId: string;
  /** Made with the data directory (raft NodeId). */
  readonly nodeId: NodeId;
  /** Name that operators and clients know. */
  readonly serverId: string;
  readonly addresses: NodeAddresses;
  readonly version: string;
  /** Random per process start: messages of an older incarnation are dropped. 16 hex digits. */
  readonly bootNonce: string;
}

/** What is known of the link to one peer, for status pages and metrics. Times are monotonic ms of this process. */
export interface PeerLinkStatus {
  readonly nodeId: NodeId;
  readonly serverId: string;
  readonly address: string;
  readonly isConnected: boolean;
  /** The newest introduction of the peer, from either direction; null before the first. */
  readonly introduction: NodeIntroduction | null;
  /** When bytes last arrived from the peer; null: never. */
  readonly lastContactAtMs: number | null;
  /** Last measured round trip, ms. */
  readonly roundTripMs: number | null;
  /** Why the link is down, in words ("connection refused", "data belongs to cluster 8f1c2a04"); null while it is up. */
  readonly problem: string | null;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly queuedBytes: number;
}

/** A peer asks for something; the answer goes back over the same connection. */
export interface PeerRequest {
  /** Which operation: one of PEER_CALL. */
  readonly call: PeerCall;
  readonly from: NodeIntroduction;
  /** At a multiple of 8 in its ArrayBuffer; the receiver's to keep. */
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Requests between nodes. Numbers are on the wire: append only. */
export const PEER_CALL = {
  /** Who are you, and do you have state? Answered by every node, also one without a cluster. JSON. */
  probe: 1,
  /** The founder tells the other founding members which cluster they belong to. JSON. */
  found: 2,
  /** A node without state asks to become a member; answered by the leader. JSON. */
  join: 3,
  /** Entries that a client gave to a follower, for the leader to propose. Binary. */
  propose: 4,
  /** What an operator asked of a follower (membership, transfer), for the leader to do. JSON. */
  control: 5,
  /** Status of the asked node, for overviews. JSON. */
  status: 6,
  /** A poll of a compaction worker at a follower, for the leader to plan. Binary. */
  poll: 7,
  /** What index must a read see that has come to a reader thread of the asker? For the leader. Binary. */
  readIndex: 8,
} as const;
export type PeerCall = (typeof PEER_CALL)[keyof typeof PEER_CALL];

/** Answers a request, exactly once. An error keeps its code, reason, next and leader across the wire. */
export type AnswerPeer = (result: PeerAnswer) => void;

export type PeerAnswer =
  | { readonly ok: true; readonly body: Uint8Array<ArrayBuffer> }
  | { readonly ok: false; readonly error: HearthError };

export interface PeerHandler {
  /** One decoded message of a member of this cluster, of its current boot. */
  onMessage(message: Message): void;
  /** The connection to a peer was lost, or its queue overflowed and was closed: messages may be missing. */
  onUnreachable(peer: NodeId): void;
  /** What arrived together from one peer was handed over, message by message. */
  onArrived?(): void;
  onRequest(request: PeerRequest, answer: AnswerPeer): void;
  /**
   * A node has made its connection to this one, or said something new of itself. It meant this very node: whoever looks
   * for another at this address does not get that far. So a node without a cluster learns here which one counts it among
   * its members (`clusterId` not empty), and answers with `introduce` once it has stored that.
   */
  onIntroduced?(introduction: NodeIntroduction): void;
}

/** Whom a request is for: a member by its id, or whoever answers at an address (before membership is known). */
export type PeerTarget = { readonly nodeId: NodeId } | { readonly address: string };

export interface PeerNetwork {
  /** Before `listen`. */
  setHandler(handler: PeerHandler): void;
  /** Opens the peer port. Errors: HearthError with the address and the reason. Resolves with the port. */
  listen(): Promise<number>;
  /** This process's own introduction changed (cluster id at founding, addresses once ports are open). */
  introduce(introduction: NodeIntroduction): void;
  /** Whom to keep a connection to, from the newest configuration; others are closed once they are idle. */
  setMembers(members: readonly Member[]): void;
  /** Queues a Raft message; in order per peer while the connection lasts. Bodies are borrowed until they are sent. */
  send(message: Message): void;
  /** Gives the system what was queued; without it that happens at the end of the callback of the event loop. */
  flush(): void;
  /**
   * Asks a peer. The result is an error with `sent: "no"` (never left), `"maybe"` (left, no answer) or what the peer
   * answered (`sent: "yes"`). Bounded by `timeoutMs`.
   */
  request(
    target: PeerTarget,
    call: PeerCall,
    body: Uint8Array,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<PeerAnswer>;
  /** Numeric addresses of a node's host:port, for whoever must not look up names itself; none: not known now. */
  resolve(address: string): Promise<readonly string[]>;
  /** Every member but this one, and every other node that is connected. */
  peers(): readonly PeerLinkStatus[];
  /** Closes listener and connections; requests in flight end with `unavailable`. */
  close(): Promise<void>;
}
