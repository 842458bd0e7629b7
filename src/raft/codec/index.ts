/** Bytes of the core's values: between members, in the log and in snapshots. */

export { CODEC_REASONS, type CodecReason } from "./bytes.ts";
export type { EncodedMessage } from "./frame.ts";
export { CODEC_LIMITS } from "./limits.ts";
export {
  decodeMembership,
  decodeMembershipBatch,
  encodeMembership,
  encodeMembershipBody,
  membershipProblem,
} from "./membership.ts";
export { decodeMessage, encodeMessage, joinPieces, MESSAGE_CODEC } from "./message.ts";
export { decodeSnapshotMeta, encodeSnapshotMeta } from "./snapshot-meta.ts";
