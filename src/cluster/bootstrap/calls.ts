/**
 * Bodies of the small requests by which nodes find each other (types.ts, PEER_CALL): JSON, checked field by field.
 * Unknown fields are ignored, so that a later version can say more.
 */

import { HearthError } from "../../base/index.ts";
import type { Member, NodeId } from "../../raft/index.ts";
import type { NodeAddresses } from "../types.ts";

/** Far above what a probe of 64 members takes. */
const JSON_MAX_BYTES = 1024 * 1024;

/** What a node says to anybody who asks who it is. */
export interface ProbeAnswer {
  /** Empty: it belongs to no cluster yet. */
  readonly clusterId: string;
  readonly nodeId: NodeId;
  readonly serverId: string;
  readonly addresses: NodeAddresses;
  readonly version: string;
  readonly term: number;
  /** Peer address of the leader as far as it knows; empty: none. */
  readonly leaderAddress: string;
}

/** "You belong to this cluster": from a founder, or from a leader that has added the receiver. */
export interface FoundNotice {
  readonly clusterId: string;
  /** The receiver; another directory under the same address must not take it. */
  readonly nodeId: NodeId;
  /** The founding members when the receiver is one of them; empty: it gets its members from the leader. */
  readonly founders: readonly Member[];
}

/** "Take me in." */
export interface JoinWish {
  readonly serverId: string;
  readonly nodeId: NodeId;
  readonly address: string;
}

export function encodeJson(value: object): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value)) as Uint8Array<ArrayBuffer>;
}

/** Errors: HearthError invalid_argument "bad_peer_request". */
export function decodeJson(body: Uint8Array): Readonly<Record<string, unknown>> {
  if (body.length > JSON_MAX_BYTES) throw bad(`${body.length} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    throw bad("it is not JSON").with({ cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>;
  throw bad("it is not a JSON object");
}

export function decodeProbeAnswer(body: Uint8Array): ProbeAnswer {
  const value = decodeJson(body);
  const addresses = objectOf(value, "addresses");
  return {
    clusterId: textOf(value, "clusterId"),
    nodeId: textOf(value, "nodeId"),
    serverId: textOf(value, "serverId"),
    addresses: {
      peer: textOf(addresses, "peer"),
      http: textOf(addresses, "http"),
      websocket: textOf(addresses, "websocket"),
    },
    version: textOf(value, "version"),
    term: countOf(value, "term"),
    leaderAddress: textOf(value, "leaderAddress"),
  };
}

export function decodeFoundNotice(body: Uint8Array): FoundNotice {
  const value = decodeJson(body);
  const founders = value.founders;
  if (!Array.isArray(founders)) throw bad('"founders" is not a list');
  const clusterId = textOf(value, "clusterId");
  if (clusterId === "") throw bad('"clusterId" is empty');
  return {
    clusterId,
    nodeId: textOf(value, "nodeId"),
    founders: (founders as readonly unknown[]).map(memberOf),
  };
}

export function decodeJoinWish(body: Uint8Array): JoinWish {
  const value = decodeJson(body);
  return {
    serverId: textOf(value, "serverId"),
    nodeId: textOf(value, "nodeId"),
    address: textOf(value, "address"),
  };
}

export function memberOf(value: unknown): Member {
  if (typeof value !== "object" || value === null) throw bad("a member is not an object");
  const fields = value as Readonly<Record<string, unknown>>;
  return {
    id: textOf(fields, "id"),
    serverId: textOf(fields, "serverId"),
    address: textOf(fields, "address"),
  };
}

function objectOf(
  value: Readonly<Record<string, unknown>>,
  name: string,
): Readonly<Record<string, unknown>> {
  const field = value[name];
  if (typeof field === "object" && field !== null)
    return field as Readonly<Record<string, unknown>>;
  throw bad(`"${name}" is not an object`);
}

function textOf(value: Readonly<Record<string, unknown>>, name: string): string {
  const field = value[name];
  if (typeof field === "string") return field;
  throw bad(`"${name}" is not a text`);
}

function countOf(value: Readonly<Record<string, unknown>>, name: string): number {
  const field = value[name];
  if (typeof field === "number" && Number.isSafeInteger(field) && field >= 0) return field;
  throw bad(`"${name}" is not a number of this kind`);
}

function bad(what: string): HearthError {
  return new HearthError("invalid_argument", `Cannot read what the peer sent: ${what}`, {
    reason: "bad_peer_request",
  });
}
