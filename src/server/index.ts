export {
  CLOSE_CODES,
  type CloseCode,
  type Connection,
  type ConnectionEvents,
  type Listener,
  type ListenerEvents,
  type ListenerOptions,
  type SendResult,
  type TransportKind,
} from "./listener.ts";
export { LocalChannel, type LocalChannelListener } from "./local-connection.ts";
export { type ReaderMetrics, ThreadCounters } from "./metrics.ts";
export { openListener, type TransportChoice } from "./open-listener.ts";
export {
  SERVER_DEFAULTS,
  type ServerIdentity,
  type ServerOptions,
  type SessionLimits,
} from "./options.ts";
export {
  type ListeningAddress,
  probePort,
  ReaderPool,
  type ReaderPoolModules,
} from "./reader-pool.ts";
export { runReader } from "./run-reader.ts";
export { type RequestHandler, Session, type SessionModules } from "./session.ts";
export { TurnClock } from "./turn-clock.ts";
export type { MemberPort, PollPort, Proposer } from "./write-bridge.ts";
