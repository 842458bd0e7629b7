/** The gRPC endpoint: what unmodified components of Pyroscope speak to (DESIGN.md). */

export { GrpcEdge, type NodeNews } from "./edge.ts";
export type { NodeHealth } from "./health.ts";
export { canSharePort } from "./listener.ts";
export {
  CLIENT_AUTH,
  type ClientAuth,
  GRPC_DEFAULTS,
  type GrpcOptions,
  type TlsOptions,
} from "./options.ts";
