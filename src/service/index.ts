export {
  AddressBook,
  AddressKeeper,
  Adoption,
  Control,
  FORWARD_DEFAULTS,
  type MemberPort,
  PeerRequests,
  WriteForwarder,
} from "./cluster/index.ts";
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
} from "./cluster/index.ts";
export { type InspectAnswer, Inspector, type TombstonePort } from "./inspect.ts";
export {
  ENTRY_OUTCOMES,
  type MainLink,
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
  ReadService,
  type ReadTransactions,
} from "./reads.ts";
export { answerGrouped, type Reply, type ReplyGroup } from "./reply.ts";
export {
  type ChunkSink,
  type QueryPort,
  type RequestOptions,
  RequestService,
  type TenantStats,
} from "./requests.ts";
export { type WriteOptions, WriteService } from "./writes.ts";
