export { REPLICA_DEFAULTS, type ReplicaOptions } from "./options.ts";
export { Replica, type ReplicaModules } from "./replica.ts";
export {
  type ApplyOutcome,
  PHASE,
  type Phase,
  type Proposal,
  type ProposeDone,
  type ProposeResult,
  type PublishedState,
  type ReadIndexDone,
  type ReadIndexResult,
  type RefusalReason,
  type ReplicaStats,
  type ReplicaStatus,
  type StateMachine,
} from "./types.ts";
