/** Bounds of what members send each other and of what a log may say about members. Each is checked before use. */

const KIB = 1024;
const MIB = 1024 * KIB;

export const CODEC_LIMITS = {
  /**
   * One peer message. A batch is at most one client frame (16 MiB), and one batch may exceed what an append message
   * is filled up to; twice that leaves room for both.
   */
  messageMaxBytes: 32 * MIB,
  /** Batches of one append. A message of small proposals stays far below; each takes 40 bytes of header besides. */
  batchesMax: 65_536,
  /** Bytes of one snapshot chunk: they wait in memory on both sides. */
  chunkMaxBytes: 8 * MIB,
  /** Members of a configuration, learners included. Quorums above a handful make no sense; replacing needs twice. */
  membersMax: 64,
  /** A node id or a snapshot id. The log keeps up to 128 bytes of a vote. */
  idMaxBytes: 64,
  /** The name that operators know, as in a client's hello. */
  serverIdMaxBytes: 256,
  /** Host name (253) and port, with room for a scheme. */
  addressMaxBytes: 512,
} as const;
