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
} from "./types.ts";
