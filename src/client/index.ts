/** hearth/client: talks to a cluster over the binary protocol. Imports no server code. Guide: docs/build/client.md. */
export {
  type ErrorCode as HearthCode,
  HearthError,
  isHearthError,
  type LeaderHint,
  type SentState,
} from "../base/index.ts";
export type {
  BlockMeta,
  CompactionOverview,
  CompactionPolicy,
  ControlResult,
  DatasetMeta,
  JobDetails,
  JobPage,
  JobView,
  OpenTenantResult,
  PlanView,
  PolicyResultView,
  QueuePage,
  QueueView,
  PlanBlockView,
  PlanDatasetView,
  PollReply,
  PollRequest,
  TenantDeletion,
  Tombstone,
} from "../protocol/index.ts";
export type {
  CompactionAdmin,
  ControlOptions,
  JobListOptions,
  PolicyChangeOptions,
  QueueListOptions,
} from "./compaction-admin-types.ts";
export { connect } from "./client.ts";
export { collectBlocks, collectLabels } from "./collect.ts";
export type { RequestContext } from "./diagnostics.ts";
export type { Channel, ChannelClose, ChannelListener, Transport } from "./transport/transport.ts";
export { createWebSocketTransport, type WebSocketOptions } from "./transport/websocket.ts";
export type {
  BlockInput,
  BlockListParams,
  CallOptions,
  CompactionJob,
  CompactionJobsOptions,
  CompactionResult,
  ClientRole,
  ConnectionStatus,
  ConnectOptions,
  HearthClient,
  JsonValue,
  LabelRow,
  LabelsBatch,
  LeaderActivitiesView,
  LeaderActivityView,
  NodeInfo,
  PeerInfo,
  PlanBatch,
  QueryParams,
  RawCommandOptions,
  ReadConsistency,
  ReadOptions,
  TenantStats,
  WriteResult,
} from "./types.ts";
