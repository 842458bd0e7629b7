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
