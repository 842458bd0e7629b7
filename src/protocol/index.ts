/**
 * The bytes of Hearth: binary protocol, log entries, stored entries, and the protobuf and JSON
 * forms of a block. Layouts are in schemas/; their design is in DESIGN.md.
 */

export { validateBlock } from "./block/block-validator.ts";
export { decodeBlock, readBlockMeta } from "./block/block-decoder.ts";
export { BlockReader } from "./block/block-reader.ts";
export { encodeBlock } from "./block/block-writer.ts";
export type { BlockMeta, DatasetMeta } from "./block-meta.ts";
export { AlignedViews } from "./bytes/aligned-views.ts";
export { ByteSink } from "./bytes/sink.ts";
export { swapBytes } from "./bytes/u32.ts";
export {
  checkBlockBatch,
  decodeBlockBatch,
  encodeBlockBatch,
  iterateBlockBatch,
} from "./client/block-batch.ts";
export {
  checkPoll,
  decodePollReply,
  decodePollRequest,
  encodePollReply,
  encodePollRequest,
  foreignResultError,
  type JobAssignment,
  type JobReport,
  type PollReply,
  type PollRequest,
  REPORT_STATUS,
} from "./client/compaction-polls.ts";
export {
  type CompactionOverview,
  type ControlResult,
  type ControlWish,
  type HandedOutView,
  JOB_VIEW_STATUSES,
  type JobDetails,
  type JobFilter,
  type JobPage,
  type JobView,
  type JobViewStatus,
  type LevelView,
  type PauseWish,
  type PlannedJobView,
  type PlanView,
  type PolicyResultView,
  type PolicyWish,
  type QueueFilter,
  type QueuePage,
  type QueueView,
  type WorkerView,
} from "./client/compaction-views.ts";
export { decodeErrorReply, encodeErrorReply } from "./client/error-reply.ts";
export { visitKeyStrings } from "./client/dictionary-records.ts";
export { EntryChunkReader } from "./client/entry-chunk-reader.ts";
export { EntryChunkWriter } from "./client/entry-chunk-writer.ts";
export {
  BUNDLE_MAX_BYTES,
  BUNDLED_FRAME_MAX_BYTES,
  BundleReader,
  BundleWriter,
  bundledBytes,
  type MessageSink,
  usableBundleBytes,
} from "./client/bundle.ts";
export { LookUpFrame, mayBeLookUp } from "./client/look-up-frame.ts";
export { HeldDictionaries } from "./client/held-dictionaries.ts";
export { SentDictionaries, type SentIds } from "./client/sent-dictionaries.ts";
export {
  appendFrameHeader,
  createFrameHeader,
  FLAG,
  FRAME_HEADER_BYTES,
  FRAME_MAGIC,
  type FrameHeader,
  type FrameRefusal,
  PROTOCOL_MAX,
  PROTOCOL_MIN,
  readFrameHeader,
  writeFrameHeader,
  writeFrameHeaderWords,
} from "./client/frame.ts";
export { LabelsChunkReader, LabelsChunkWriter } from "./client/labels-chunk.ts";
export {
  type BlockIdsRequest,
  type BlockListRequest,
  CONSISTENCY,
  type Consistency,
  type Hello,
  type HelloReply,
  type LeaderNotice,
  type QueryRequest,
  type TenantReply,
  type TenantRequest,
  type TenantsReply,
  type WriteReply,
} from "./client/messages.ts";
export {
  OP,
  type Opcode,
  OPCODES,
  type OpcodeKind,
  type OpcodeName,
  opcodeOf,
} from "./client/opcodes.ts";
export { PlanChunkReader } from "./client/plan-chunk-reader.ts";
export type {
  LabelPair,
  PlanBatch,
  PlanBlockView,
  PlanDatasetView,
} from "./client/plan-views.ts";
export {
  CHUNK_HEADROOM_BYTES,
  type PlanDatasetRefs,
  PlanChunkWriter,
} from "./client/plan-chunk-writer.ts";
export {
  decodeHelloReply,
  decodeJsonMessage,
  decodeLeaderNotice,
  decodeTenantReply,
  decodeTenantsReply,
  decodeWriteReply,
  encodeHelloReply,
  encodeJsonMessage,
  encodeLeaderNotice,
  encodeTenantReply,
  encodeTenantsReply,
  encodeWriteReply,
} from "./client/replies.ts";
export {
  decodeBlockListRequest,
  decodeHello,
  decodeQueryRequest,
  decodeTenantRequest,
  encodeBlockListRequest,
  encodeHello,
  encodeQueryRequest,
  encodeTenantRequest,
} from "./client/requests.ts";
export type {
  BlockTombstones,
  CommittedBatch,
  CompactedBlocks,
  CompletedJob,
  ShardTombstone,
  SourceBlocks,
  Tombstone,
  TruncateIndex,
} from "./command/types.ts";
export {
  appendAddBlockEntry,
  appendEntry,
  beginEntry,
  COMMAND,
  COMMAND_NAMES,
  COMMAND_VERSION,
  type CommandName,
  endEntry,
  entriesByteLength,
  ENTRY_HEADER_BYTES,
  type EntryVisitor,
  isKnownVersion,
  iterateEntries,
  newestVersion,
} from "./command/entry-body.ts";
export { addsBlocks, addsBlocksAlone, iterateAddedBatches } from "./command/added-blocks.ts";
export {
  beginSessionEntry,
  appendSessionEntry,
  decodeSessionEntry,
  type SessionEntry,
  type SessionNumbers,
} from "./command/session-entry.ts";
export {
  decodeCompactedBlocks,
  decodeCompletedJobs,
  decodeDeleteShard,
  decodeTombstones,
  decodeTruncateIndex,
  validateCommand,
} from "./command/command-decoder.ts";
export {
  encodeCompactedBlocks,
  encodeCompletedJobs,
  encodeDeleteShard,
  encodeTombstones,
  encodeTruncateIndex,
} from "./command/command-encoder.ts";
export {
  decodeControlJobs,
  decodeJobPlan,
  decodePlanUpdate,
  decodePolicyCommand,
} from "./command/plan-decoder.ts";
export {
  encodeControlJobs,
  encodeJobPlan,
  encodePlanUpdate,
  encodePolicyCommand,
} from "./command/plan-encoder.ts";
export {
  type BlockRef,
  CONTROL_ACTION,
  type ControlAction,
  type ControlJobs,
  type FinishedJob,
  JOB_STATUS,
  type JobPlan,
  type JobState,
  type NewJob,
  type PlanUpdate,
  type PollRecord,
} from "./command/plan-types.ts";
export type { CompactionPolicy, LevelPolicy, TenantPolicy } from "./command/policy-types.ts";
export {
  beginCommandRequest,
  checkEntries,
  type CommandRequest,
  decodeCommandRequest,
} from "./command/command-request.ts";
export { BLOCK_PRELUDE, DATASET, ENTRY_PRELUDE, ENTRY_ROW, HEAD, PLAN_BLOCK } from "./layout.ts";
export { CREATION_TIME_MAX_MS, LIMITS, POLICY_LIMITS, TIME_MAX_MS } from "./limits.ts";
export { blockMetaFromJson, blockMetaToJson } from "./proto/block-json.ts";
export {
  type BlockObject,
  type BlockObjectPlace,
  findBlockMetadata,
  readBlockObject,
} from "./proto/block-object.ts";
export { encodeBlockMetaProto, parseBlockMetaProto } from "./proto/block-proto.ts";
export { BlockTranscoder } from "./proto/block-from-proto.ts";
export { BlockProtoWriter } from "./proto/block-to-proto.ts";
export {
  BLOCKS_FIELD_TAG,
  type NodeInfoProto,
  putHealth,
  putHealthList,
  putLabelsRow,
  putNodeInfo,
  putPollReply,
  putReadIndex,
  putStatus,
  putTenants,
  putTenantStats,
  SERVING_STATUS,
  type ServingStatus,
} from "./proto/replies.ts";
export {
  decodeAddBlockProto,
  decodeBlockListProto,
  decodeEmptyProto,
  decodeHealthProto,
  decodeMemberProto,
  decodePollProto,
  decodeQueryProto,
  decodeTenantProto,
  type MemberProto,
  type PollProto,
} from "./proto/requests.ts";
export {
  decodeDistributionStats,
  decodePlacementRules,
  encodeDistributionStats,
  encodePlacementRules,
  placementRulesCreatedAt,
} from "./proto/placement-objects.ts";
export {
  type DatasetPlacement,
  type DatasetStats,
  type DistributionStats,
  LOAD_BALANCING,
  type LoadBalancing,
  type PlacementRules,
  type ShardStats,
} from "./proto/placement-types.ts";
export {
  decodeReferenceLogEntry,
  decodeReferencePrepareRequest,
  decodeReferenceQueueEntry,
  decodeReferenceTombstone,
  encodeReferenceLogEntry,
  encodeReferenceQueueEntry,
  encodeReferenceTombstone,
  type ReferenceJobUpdate,
  type ReferenceLogEntry,
  type ReferencePair,
  type ReferencePrepareRequest,
  type ReferenceQueueEntry,
  type ReferenceTombstone,
} from "./proto/reference-records.ts";
export {
  BLOCK_REFUSALS,
  type BlockRefusal,
  type Refusal,
  REFUSALS,
  refusalError,
  type ValidationFailure,
} from "./refusals.ts";
export { EntryReader, type EntryViews } from "./stored/entry-reader.ts";
export { type EntryIds, EntryWriter } from "./stored/entry-writer.ts";
export {
  beginSessionWrite,
  decodeSessionWrite,
  type SessionWrite,
} from "./client/session-write.ts";
export {
  decodeStateCheck,
  encodeStateCheck,
  type StateCheck,
  type StateReport,
  type TableDigests,
} from "./command/state-check.ts";
export {
  decodeRetireShards,
  encodeRetireShards,
  type RetiredShard,
  type RetireShards,
} from "./command/retire-shards.ts";
export {
  type ClearTenant,
  decodeClearTenant,
  decodeDeleteTenant,
  decodeNoteDeletion,
  decodeOpenTenant,
  type DeleteTenant,
  encodeTenantCommand,
  type NoteDeletion,
  type OpenTenant,
  type SegmentList,
  TENANT_DELETION_LIMITS,
} from "./command/tenant-deletion.ts";
export {
  DELETION_STATES,
  type DeletionList,
  type DeletionsQuestion,
  type DeletionState,
  type OpenTenantResult,
  type TenantDeletion,
} from "./client/tenant-deletions.ts";
