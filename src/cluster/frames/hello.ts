/**
 * How peers introduce themselves: JSON, since it is said once per connection and later versions will say more. Fields
 * that are not known are left alone; those that are known are checked before anything is believed.
 *
 * ```
 * hello      { cluster, node, server, peer, http, websocket, version, boot, target, dial, link }
 * introduce  { cluster, node, server, peer, http, websocket, version, boot }
 * refuse     { reason, text }
 * ```
 */

import type { NodeIntroduction } from "../types.ts";
import { PEER_LIMITS } from "../limits.ts";
import { encodeControl, FRAME } from "./frame.ts";

/** Protocol versions that this program speaks. A connection uses the highest that both sides speak. */
export const PROTOCOL_MIN = 1;
export const PROTOCOL_MAX = 1;

export interface Hello {
  readonly versionMin: number;
  readonly versionMax: number;
  readonly introduction: NodeIntroduction;
  /** Whom the sender believes to talk to; "" when it asks whoever answers. */
  readonly target: string;
  /**
   * Of the side that dialled: number of this dial, growing with every dial of its process to this peer. In the answer:
   * hellos of the answering process up to this dial are void, since it has given them up for this connection.
   */
  readonly dial: number;
  /** peer: the one connection of two members. call: requests only, beside it. */
  readonly link: "peer" | "call";
}

export interface Refusal {
  readonly reason: string;
  readonly text: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

export function encodeHello(hello: Omit<Hello, "versionMin" | "versionMax">): Uint8Array[] {
  const { introduction, target, dial, link } = hello;
  const body = jsonBytes({ ...plain(introduction), target, dial, link });
  return encodeControl(FRAME.hello, { tag: PROTOCOL_MIN | (PROTOCOL_MAX << 16), body });
}

export function encodeIntroduction(introduction: NodeIntroduction): Uint8Array[] {
  return encodeControl(FRAME.introduce, { body: jsonBytes(plain(introduction)) });
}

export function encodeRefusal({ reason, text }: Refusal): Uint8Array[] {
  const body = jsonBytes({ reason, text: text.slice(0, PEER_LIMITS.refusalMaxBytes / 4) });
  return encodeControl(FRAME.refuse, { body });
}

function jsonBytes(value: object): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

function plain({ clusterId, nodeId, serverId, addresses, version, bootNonce }: NodeIntroduction) {
  const { peer, http, websocket } = addresses;
  return {
    cluster: clusterId,
    node: nodeId,
    server: serverId,
    peer,
    http,
    websocket,
    version,
    boot: bootNonce,
  };
}

/** Only the versions of a hello: readable whatever later versions do to the rest. */
export function versionsOf(tag: number): { readonly versionMin: number; versionMax: number } {
  return { versionMin: tag & 0xffff, versionMax: tag >>> 16 };
}

/** Null: not a hello of ours. */
export function decodeHello(tag: number, body: Uint8Array): Hello | null {
  const fields = parse(body);
  if (fields === null) return null;
  const introduction = readIntroduction(fields);
  const { target, dial, link } = fields;
  if (introduction === null || (target !== "" && !isId(target))) return null;
  if (!Number.isSafeInteger(dial) || (dial as number) < 0) return null;
  if (link !== "peer" && link !== "call") return null;
  // Whoever wants the connection of two members knows whom it means.
  if (link === "peer" && target === "") return null;
  return { ...versionsOf(tag), introduction, target: target as string, dial: dial as number, link };
}

export function decodeIntroduction(body: Uint8Array): NodeIntroduction | null {
  const fields = parse(body);
  return fields === null ? null : readIntroduction(fields);
}

/** What a peer gives as its reason is for people to read: anything printable is taken. */
export function decodeRefusal(body: Uint8Array): Refusal | null {
  const fields = parse(body);
  if (fields === null) return null;
  const { reason, text } = fields;
  if (!isText(reason, 1, PEER_LIMITS.idMaxBytes)) return null;
  if (!isText(text, 0, PEER_LIMITS.refusalMaxBytes)) return null;
  return { reason: reason as string, text: text as string };
}

function parse(body: Uint8Array): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(decoder.decode(body));
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function readIntroduction(fields: Record<string, unknown>): NodeIntroduction | null {
  const { cluster, node, server, peer, http, websocket, version, boot } = fields;
  const isGood =
    (cluster === "" || isId(cluster)) &&
    isId(node) &&
    isText(server, 1, PEER_LIMITS.serverIdMaxBytes) &&
    [peer, http, websocket].every((address) => isText(address, 0, PEER_LIMITS.addressMaxBytes)) &&
    isText(version, 0, PEER_LIMITS.versionMaxBytes) &&
    typeof boot === "string" &&
    /^[0-9a-f]{16}$/.test(boot);
  if (!isGood) return null;
  return {
    clusterId: cluster as string,
    nodeId: node as string,
    serverId: server as string,
    addresses: { peer: peer as string, http: http as string, websocket: websocket as string },
    version: version as string,
    bootNonce: boot as string,
  };
}

/** As node ids in a membership: no separators, ASCII. */
function isId(value: unknown): boolean {
  return (
    typeof value === "string" &&
    value.length <= PEER_LIMITS.idMaxBytes &&
    /^[0-9A-Za-z][0-9A-Za-z._:-]*$/.test(value)
  );
}

/** Printable: it goes into logs and tables. */
function isText(value: unknown, minBytes: number, maxBytes: number): boolean {
  if (typeof value !== "string" || value.length > maxBytes) return false;
  const bytes = Buffer.byteLength(value);
  return bytes >= minBytes && bytes <= maxBytes && !/\p{Cc}/u.test(value);
}
