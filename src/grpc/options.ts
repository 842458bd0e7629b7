/** Settings of the gRPC endpoint. */

/** How a client proves who it is; the names are those of the reference's flag. */
export const CLIENT_AUTH = {
  /** Clients are not asked for a certificate. */
  NoClientCert: { isAsked: false, isVerified: false, isRequired: false },
  RequestClientCert: { isAsked: true, isVerified: false, isRequired: false },
  RequireAnyClientCert: { isAsked: true, isVerified: false, isRequired: true },
  VerifyClientCertIfGiven: { isAsked: true, isVerified: true, isRequired: false },
  /** Mutual TLS. */
  RequireAndVerifyClientCert: { isAsked: true, isVerified: true, isRequired: true },
} as const;

export type ClientAuth = keyof typeof CLIENT_AUTH;

/** Paths of PEM files. */
export interface TlsOptions {
  readonly certPath: string;
  readonly keyPath: string;
  /** Certificates that clients are verified with; empty: those of the system. */
  readonly caPath: string;
  readonly clientAuth: ClientAuth;
}

export interface GrpcOptions {
  readonly host: string;
  readonly port: number;
  /** This node as the contract names it: what a leader hint is compared with. */
  readonly serverId: string;
  /** Largest message taken and sent, bytes, after decompression. */
  readonly receiveMaxBytes: number;
  readonly sendMaxBytes: number;
  /** Budget of a call that names none, ms. */
  readonly defaultTimeoutMs: number;
  /** Calls without an answer, per connection; more wait at the client. */
  readonly streamsMax: number;
  readonly connectionsPerThreadMax: number;
  /** A connection on which nobody has begun to speak HTTP/2 by then is closed, ms. */
  readonly handshakeTimeoutMs: number;
  /** A connection is pinged this often, ms, and given up when a ping has no answer in time. */
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  /** Null: plain text. */
  readonly tls: TlsOptions | null;
}

const MIB = 1024 * 1024;

export const GRPC_DEFAULTS: GrpcOptions = {
  host: "127.0.0.1",
  port: 9095,
  serverId: "",
  receiveMaxBytes: 100 * MIB,
  sendMaxBytes: 100 * MIB,
  // The client's own limit of a call with all its attempts.
  defaultTimeoutMs: 20_000,
  // Clients share one connection per node: 1,000 calls at once are promised.
  streamsMax: 4_096,
  connectionsPerThreadMax: 2_000,
  // Of gRPC servers in general: 2 min, 2 h, 20 s.
  handshakeTimeoutMs: 120_000,
  keepaliveTimeMs: 2 * 60 * 60_000,
  keepaliveTimeoutMs: 20_000,
  tls: null,
};
