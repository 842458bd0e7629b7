/** Settings of the gRPC endpoint: names, keys and defaults of the reference (spec raft-and-cluster, 13.2; grpc-contract, 7). */
import { CLIENT_AUTH, GRPC_DEFAULTS } from "../grpc/options.ts";
import type { Setting } from "./types.ts";

const MIB = 1024 * 1024;
/** A longer message has no place in one write of the log, nor in a buffer of the runtime. */
const MESSAGE_MAX_BYTES = 1024 * MIB;

export const GRPC_SETTINGS = [
  {
    name: "server.grpc-listen-address",
    kind: "text",
    default: "",
    help: "Address of the gRPC listener; empty listens on every interface",
  },
  {
    name: "server.grpc-listen-port",
    kind: "integer",
    default: GRPC_DEFAULTS.port,
    min: 0,
    max: 65_535,
    help: "Port of the gRPC listener, which other components call; 0 lets the system choose",
  },
  {
    name: "server.grpc-max-recv-msg-size-bytes",
    kind: "integer",
    default: GRPC_DEFAULTS.receiveMaxBytes,
    yaml: "server.grpc_server_max_recv_msg_size",
    min: 64 * 1024,
    max: MESSAGE_MAX_BYTES,
    help: "Largest gRPC request, unpacked; a larger one is refused with RESOURCE_EXHAUSTED",
  },
  {
    name: "server.grpc-max-send-msg-size-bytes",
    kind: "integer",
    default: GRPC_DEFAULTS.sendMaxBytes,
    yaml: "server.grpc_server_max_send_msg_size",
    min: 64 * 1024,
    max: MESSAGE_MAX_BYTES,
    help: "Largest gRPC answer, before packing; a larger one ends with RESOURCE_EXHAUSTED",
  },
  {
    name: "server.grpc.keepalive.time",
    kind: "duration",
    default: GRPC_DEFAULTS.keepaliveTimeMs,
    yaml: "server.grpc_server_keepalive_time",
    min: 1_000,
    help: "How often a gRPC connection is pinged by this node; pings of clients are always answered",
  },
  {
    name: "server.grpc.keepalive.timeout",
    kind: "duration",
    default: GRPC_DEFAULTS.keepaliveTimeoutMs,
    yaml: "server.grpc_server_keepalive_timeout",
    min: 100,
    help: "How long a gRPC connection may leave a ping without an answer before it is closed",
  },
  {
    name: "server.grpc-tls-cert-path",
    kind: "text",
    default: "",
    yaml: "server.grpc_tls_config.cert_file",
    help: "Certificate of the gRPC listener, PEM; empty is plain text",
  },
  {
    name: "server.grpc-tls-key-path",
    kind: "text",
    default: "",
    yaml: "server.grpc_tls_config.key_file",
    help: "Key of that certificate, PEM",
  },
  {
    name: "server.grpc-tls-client-auth",
    kind: "choice",
    choices: ["", ...(Object.keys(CLIENT_AUTH) as (keyof typeof CLIENT_AUTH)[])],
    default: "",
    yaml: "server.grpc_tls_config.client_auth_type",
    help: "How gRPC clients prove who they are; empty is NoClientCert. RequireAndVerifyClientCert is mutual TLS",
  },
  {
    name: "server.grpc-tls-ca-path",
    kind: "text",
    default: "",
    yaml: "server.grpc_tls_config.client_ca_file",
    help: "Certificates that those of gRPC clients are verified with, PEM; empty takes those of the system",
  },
] as const satisfies readonly Setting[];
