/** Bounds of the network between members. Each is checked before use; DESIGN.md, "Bounds", has them as one table. */

const KIB = 1024;
const MIB = 1024 * KIB;

export const PEER_LIMITS = {
  /**
   * Raft message inside a frame: what the codec of messages allows (CODEC_LIMITS.messageMaxBytes). Known again here,
   * since this folder sees the codec as two functions only; createPeerNetwork is told the codec's own and compares.
   */
  messageMaxBytes: 32 * MIB,
  /** Body of a request or an answer: writes of one turn that a follower forwards; one client frame is 16 MiB. */
  bodyMaxBytes: 32 * MIB,
  /** Hello, refusal and introduction: three addresses of 512 B, names and ids, as JSON. */
  introductionMaxBytes: 16 * KIB,
  /** Host name (253) and port, with room for a scheme; as in a membership. */
  addressMaxBytes: 512,
  serverIdMaxBytes: 256,
  idMaxBytes: 64,
  versionMaxBytes: 64,
  /** Words of a refusal. */
  refusalMaxBytes: 1 * KIB,
  /** Connections that have not said hello yet: strangers cost a socket and 16 KiB each, no more. */
  handshakesMax: 64,
  /** Connections taken from others, all together: handshakes, guests, 63 other members, and calls of members. */
  inboundMax: 512,
  /** Connections with nodes that are in no configuration of ours, calls included: members always find a place. */
  guestsMax: 128,
  /** Calls of members: their reader threads ask for read indexes. A thread that finds no place asks by way of its main. */
  memberCallsMax: 256,
  /** Longest frame of a node that is not of our cluster: probing, founding and joining take a few hundred bytes. */
  guestFrameMaxBytes: 1 * MIB,
  /** Calls to addresses that are open at a time (probing 64 peers at once, and room). */
  addressesMax: 128,
  /** Requests of ours without an answer, per connection; and of the peer's. */
  requestsMax: 1_024,
  /** Bytes of requests of the peer that we have not answered. */
  requestBytesMax: 64 * MIB,
  /** Incarnations that were replaced, remembered per node, and nodes for which they are. */
  retiredNoncesMax: 8,
  retiredNodesMax: 256,
  /** Reasons and places of refusals that are held back from the log. */
  refusalKeysMax: 256,
  /** How long a refused or closing connection may take to hand its last words to the system, ms. */
  lastWordsMs: 500,
  /**
   * Host names looked up at a time. The system's resolver blocks a thread of the pool that the log's writes need, for
   * many seconds when name servers are down: it never gets more than half of the four.
   */
  lookupsMax: 2,
} as const;
