export { AddressBook } from "./address-book.ts";
export { AddressKeeper } from "./address-keeper.ts";
export { Adoption } from "./adoption.ts";
export type { MemberPort } from "./changes.ts";
export { Control } from "./control.ts";
export { FORWARD_DEFAULTS, WriteForwarder } from "./forward.ts";
export { PeerRequests } from "./peer-requests.ts";
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
