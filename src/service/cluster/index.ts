export type {
  ChangeGuard,
  ChangeResult,
  ClusterControl,
  ClusterView,
  MemberReport,
  MemberView,
  Suffrage,
} from "./types.ts";
