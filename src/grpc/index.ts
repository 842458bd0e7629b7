/** The gRPC endpoint: what unmodified components of Pyroscope speak to (DESIGN.md). */

export { createEdge, GrpcEdge, type GrpcEdgeModules, type NodeNews } from "./edge.ts";
export type { Method, MethodCall } from "./methods.ts";
export type { NodeHealth } from "./health.ts";
export {
  CLIENT_AUTH,
  type ClientAuth,
  GRPC_DEFAULTS,
  type GrpcOptions,
  type TlsOptions,
} from "./options.ts";
