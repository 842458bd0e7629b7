export { REPLICA_DEFAULTS, type ReplicaOptions } from "./options.ts";
export {
  NO_PEERS,
  type PeerReceiver,
  type PeerTransport,
  type SnapshotHead,
  type SnapshotSource,
  type SnapshotStore,
} from "./ports.ts";
export { Replica, type ReplicaModules } from "./replica.ts";
export {
  becomeOnlyVoter,
  INDEX_RAISE,
  type NewHistory,
  type OnlyVoterOptions,
} from "./single-voter.ts";
export {
  type ApplyOutcome,
  type InstallStatus,
  PHASE,
  type Phase,
  type Proposal,
  type ProposeDone,
  type ProposeResult,
  type PublishedState,
  REFUSAL_REASONS,
  type ReadIndexDone,
  type ReadIndexResult,
  type RefusalReason,
  type ReplicaStats,
  type ReplicaStatus,
  SNAPSHOT_STAGES,
  type SnapshotStage,
  type SpaceProblem,
  type StateMachine,
} from "./types.ts";
