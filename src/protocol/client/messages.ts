/** Requests and replies of the binary protocol as plain values (schemas/query.fbs). */

/** How fresh an answer must be. */
export const CONSISTENCY = {
  /** Sees every write acknowledged before the request arrived, on any member. */
  strong: 0,
  /** May lag by at most maxStalenessMs. */
  bounded: 1,
  /** Whatever the answering member has applied. */
  local: 2,
} as const;

export type Consistency = keyof typeof CONSISTENCY;

/** What QueryMetadata and QueryMetadataLabels ask. */
export interface QueryRequest {
  readonly tenants: readonly string[];
  /** Unix ms, inclusive; clamped to +-2^53 by the codec, beyond which no stored time lies. */
  readonly startMs: number;
  readonly endMs: number;
  readonly selector: string;
  /** Label names to keep (QueryMetadata) or to list (QueryMetadataLabels). */
  readonly labels: readonly string[];
  readonly consistency: Consistency;
  readonly maxStalenessMs: number;
}

/** What GetBlockMetadata asks. */
export interface BlockListRequest {
  /** Owner; "" = anonymous. */
  readonly tenant: string;
  readonly shard: number;
  /** Ids in text form, ULIDs: checked by who decodes the request. */
  readonly blocks: readonly string[];
  readonly consistency: Consistency;
}

/** The same as its receiver has it: ids as bytes, ULID_BYTES each, in request order. */
export interface BlockIdsRequest {
  readonly tenant: string;
  readonly shard: number;
  readonly ids: Uint8Array;
  readonly consistency: Consistency;
}

/** What GetTenant, GetTenants (tenant "") and DeleteTenant ask. */
export interface TenantRequest {
  readonly tenant: string;
  readonly consistency: Consistency;
}

/** First frame of a connection. */
export interface Hello {
  readonly protocolMin: number;
  readonly protocolMax: number;
  /** Shown to operators. */
  readonly name: string;
  /** "query-frontend", "segment-writer", "compaction-worker", "tool". */
  readonly role: string;
  /** Cost of dictionary records that this peer keeps for answers to refer to; 0 = it keeps none. */
  readonly dictionaryMaxBytes: number;
  /** Send a notice when another member leads. Peers from before it do not ask, and would take one for a violation. */
  readonly wantsLeader: boolean;
  /** Largest bundle that this peer takes (bundle.ts); 0 = it wants each frame in a message of its own. */
  readonly bundleMaxBytes: number;
}

/** Who leads, for clients. Of two notices of one cluster the one of the higher term is right. */
export interface LeaderNotice {
  /** Server id. */
  readonly id: string;
  /** Where its clients reach it, as its operators advertise it; never empty. */
  readonly address: string;
  /** The term it leads in; at least 1. */
  readonly term: number;
}

export interface HelloReply {
  readonly protocol: number;
  readonly nodeId: string;
  readonly clusterId: string;
  readonly version: string;
  readonly frameMaxBytes: number;
  readonly inFlightMax: number;
  readonly chunkMaxBytes: number;
  /** Cost of dictionary records that the peer will be sent at most before it is told to forget them. */
  readonly dictionaryMaxBytes: number;
  /** Null: not known, or the server is from before notices. */
  readonly leader: LeaderNotice | null;
  /** Largest bundle that the server takes; 0 = none, as servers from before bundles. */
  readonly bundleMaxBytes: number;
}

/** Answer to every write: the log index under which it was applied. */
export interface WriteReply {
  readonly logIndex: number;
  readonly term: number;
}

export interface TenantsReply {
  readonly tenants: readonly string[];
  readonly appliedIndex: number;
}

export interface TenantReply {
  readonly dataIngested: boolean;
  readonly oldestProfileTimeMs: number;
  readonly newestProfileTimeMs: number;
  readonly appliedIndex: number;
}
