export {
  ASKED_IDS_MAX,
  BlockListing,
  type BlockState,
  LISTED_BLOCKS_MAX,
  type ListedBlock,
  type OwnerShard,
  type OwnerShardPage,
} from "./block-listing.ts";
export { AddressBook } from "./cluster/address-book.ts";
export { AddressKeeper } from "./cluster/address-keeper.ts";
export { Adoption } from "./cluster/adoption.ts";
export type { MemberPort } from "./cluster/changes.ts";
export { Control } from "./cluster/control.ts";
export { FORWARD_DEFAULTS, WriteForwarder } from "./cluster/forward.ts";
export { LeaderPlace } from "./cluster/leader-place.ts";
export { LeaderReads, type ReadRoundMetrics } from "./cluster/leader-reads.ts";
export { answerReadQuestion } from "./cluster/read-question.ts";
export { type LeaderKnown, LeaderWord } from "./cluster/leader-word.ts";
export { MEMBER_CALL_DEFAULTS, MemberCalls } from "./cluster/member-calls.ts";
export { notOpen } from "./cluster/not-open.ts";
export { POLL_FORWARD_DEFAULTS, PollForwarder } from "./cluster/poll-forward.ts";
export { PeerRequests } from "./cluster/peer-requests.ts";
export type {
  ChangeGuard,
  ChangeResult,
  ClusterControl,
  ClusterView,
  MemberReport,
  MemberView,
  SnapshotControl,
  SnapshotTaken,
  SnapshotView,
  Suffrage,
} from "./cluster/types.ts";
export { pollCompactionJobs } from "./compaction-polls.ts";
export { pollInParts } from "./poll-parts.ts";
export type { Edge, EdgeMetrics, EdgeServices } from "./edge.ts";
export { canSharePort } from "./share-port.ts";
export { CompactionControl, type CompactionControlOptions } from "./compaction-control.ts";
export { type InspectAnswer, Inspector, type TombstonePort } from "./inspect.ts";
export {
  ENTRY_OUTCOMES,
  type MainLink,
  type NodeQuestion,
  type MemberCall,
  type MemberCallResult,
  NOT_PROPOSED,
  type PollResult,
  type Proposal,
  type ProposalResult,
  type ReadIndexResult,
} from "./main-link.ts";
export {
  type ReadLevel,
  type ReadModules,
  type ReadOptions,
  type ReadProgress,
  type ReadRounds,
  ReadService,
  type ReadTransactions,
} from "./reads.ts";
export {
  REQUEST_DURATION_BUCKETS_SECONDS,
  REQUEST_OUTCOMES,
  RequestCounters,
  type RequestCount,
  type RequestDuration,
  type RequestMetrics,
  type RequestOutcome,
} from "./request-counters.ts";
export {
  answerGrouped,
  type Reply,
  type ReplyGroup,
  type SingleReply,
  type Waiter,
} from "./reply.ts";
export {
  type ChunkSink,
  type QueryPort,
  type RequestOptions,
  RequestService,
  type TenantStats,
} from "./requests.ts";
export { TenantControl } from "./tenant-control.ts";
export { type WriteOptions, WriteService } from "./writes.ts";
