export type { MessageCodec } from "./codec.ts";
export {
  type PeerValue,
  type PeerValueProblem,
  parsePeerValue,
} from "./discovery/peer-value.ts";
export {
  type BootstrapPeer,
  type PeerResolver,
  RESOLVE_PEERS_TIMEOUT_MS,
  type ResolvedPeers,
  type ResolvePeersOptions,
  resolveBootstrapPeers,
  SYSTEM_PEER_RESOLVER,
} from "./discovery/resolve-peers.ts";
export { PEER_LIMITS } from "./limits.ts";
export {
  CLOSE_REASONS,
  type CloseReason,
  createPeerNetworkStats,
  type PeerNetworkStats,
  REFUSAL_REASONS,
  type RefusalReason,
} from "./metrics.ts";
export { PEER_DEFAULTS, type PeerOptions } from "./options.ts";
export { type LookUpHost, lookUpHost, type PeerSockets, TCP_SOCKETS } from "./sockets.ts";
export { formatAddress, type HostPort, tryParseAddress } from "./transport/address.ts";
export { type LineOptions, type LineTarget, PeerLine } from "./transport/line.ts";
export { createPeerNetwork, type PeerModules, TcpPeerNetwork } from "./transport/network.ts";
export {
  decodeFoundNotice,
  decodeJoinWish,
  decodeJson,
  decodeProbeAnswer,
  encodeJson,
  type FoundNotice,
  type JoinWish,
  memberOf,
  type ProbeAnswer,
} from "./bootstrap/calls.ts";
export {
  type ClusterBond,
  Formation,
  FORMATION_DEFAULTS,
  type FormationModules,
  type FormationOptions,
} from "./bootstrap/formation.ts";
export {
  type AnswerPeer,
  type NodeAddresses,
  type NodeIntroduction,
  PEER_CALL,
  type PeerAnswer,
  type PeerCall,
  type PeerHandler,
  type PeerLinkStatus,
  type PeerNetwork,
  type PeerRequest,
  type PeerTarget,
} from "./types.ts";
