/**
 * What the network between members counts: plain numbers, so that counting costs nanoseconds. Whoever mounts the
 * network gives them their metric names.
 */

/** Why a connection or what came over it was refused: strangers, mistakes, attacks. Closed; labels of a counter. */
export const REFUSAL_REASONS = [
  /** Bytes that are no frame of ours. */
  "not_a_peer",
  /** A frame whose checksum, length or padding is wrong. */
  "bad_frame",
  "too_large",
  /** A kind of frame that the agreed protocol version does not have. */
  "unknown_kind",
  /** A frame that has no place here: before the hello, or an answer to nothing. */
  "unexpected_frame",
  "bad_hello",
  "unsupported_version",
  "wrong_cluster",
  /** The dialer looks for another node at this address. */
  "wrong_target",
  /** A process that was replaced by a later one of the same node. */
  "old_incarnation",
  /** This very process. */
  "is_self",
  /** Both dialled: this one is not the connection that stays. */
  "duplicate",
  /** A Raft message that its codec refuses. */
  "bad_message",
  /** A Raft message from or to somebody else than the two ends of the connection. */
  "misaddressed",
  /** A Raft message between nodes that do not belong to the same cluster yet. */
  "no_cluster",
  "handshake_timeout",
  "too_many_connections",
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** Why an open connection ended, other than by one of REFUSAL_REASONS. Closed; labels of a counter. */
export const CLOSE_REASONS = [
  /** The peer closed it, or its process is gone. */
  "ended",
  /** The system reports an error. */
  "failed",
  /** No byte, or no answer to a ping, for too long. */
  "silent",
  /** More bytes wait for the peer than may. */
  "overflow",
  /** A newer connection to the same peer has taken its place. */
  "replaced",
  /** No member needs it. */
  "idle",
  /** This process stops. */
  "closing",
] as const;
export type CloseReason = (typeof CLOSE_REASONS)[number];

/** Since the process started. */
export interface PeerNetworkStats {
  dials: number;
  dialFailures: number;
  /** Connections taken from others, before anything is known of them. */
  accepted: number;
  readonly refused: Record<RefusalReason, number>;
  readonly closed: Record<CloseReason, number>;
  sentMessages: number;
  receivedMessages: number;
  /** Raft messages for a peer without a connection; the core was told (onUnreachable). */
  unsentMessages: number;
  sentRequests: number;
  receivedRequests: number;
  sentBytes: number;
  receivedBytes: number;
  /** Frames of a kind that later versions may send and that this one skips. */
  skippedFrames: number;
}

export function createPeerNetworkStats(): PeerNetworkStats {
  const zeros = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, 0]));
  return {
    dials: 0,
    dialFailures: 0,
    accepted: 0,
    refused: zeros(REFUSAL_REASONS) as Record<RefusalReason, number>,
    closed: zeros(CLOSE_REASONS) as Record<CloseReason, number>,
    sentMessages: 0,
    receivedMessages: 0,
    unsentMessages: 0,
    sentRequests: 0,
    receivedRequests: 0,
    sentBytes: 0,
    receivedBytes: 0,
    skippedFrames: 0,
  };
}
