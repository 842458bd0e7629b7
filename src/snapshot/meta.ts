/**
 * SnapshotMeta as bytes on the disk and as a name, and the check of every field: metas come from peers and from files.
 *
 * ```
 * head file:  hearth-snapshot 1 <crc32c, 8 hex> <bytes of the JSON>\n<JSON of the meta>\n
crc32c:     over the JSON, seeded with the format version
 * name:       <index, 16 digits>-<term, 16 digits>-<id>
 * ```
 *
 * Text, because it is small, written once, and looked at by people when something is wrong.
 */

import { crc32c } from "@node-rs/crc32";
import type { Member, Membership, SnapshotMeta } from "../raft/index.ts";
import { SNAPSHOT_LIMITS } from "./options.ts";

const MAGIC = "hearth-snapshot";
const VERSION = 1;
/** The version is the seed of a checksum, which is a u32. */
const VERSION_MAX = 0xffff_ffff;
const HEADER = /^hearth-snapshot (\d{1,10}) ([0-9a-f]{8}) (\d{1,10})$/;
const HEADER_MAX_BYTES = 64;
/** Also a part of file names: no dots, no slashes. */
const ID = /^[0-9a-z]{1,64}$/;
const DIGEST = /^[0-9a-f]{64}$/;
const NAME = /^\d{16}-\d{16}-[0-9a-z]{1,64}$/;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Ascending names are ascending snapshots. */
export function nameOf(meta: { index: number; term: number; id: string }): string {
  const digits = (value: number): string => String(value).padStart(16, "0");
  return `${digits(meta.index)}-${digits(meta.term)}-${meta.id}`;
}

export function isName(text: string): boolean {
  return NAME.test(text);
}

/** Newer is what covers more of the log; the id decides among equals, so that a restart finds the same newest one. */
export function compareMetas(a: SnapshotMeta, b: SnapshotMeta): number {
  if (a.index !== b.index) return a.index - b.index;
  if (a.term !== b.term) return a.term - b.term;
  return a.id < b.id ? -1 : Number(a.id > b.id);
}

/** The same snapshot in every field. */
export function equalMetas(a: SnapshotMeta, b: SnapshotMeta): boolean {
  return jsonOf(a) === jsonOf(b);
}

/** What is wrong with the meta, or null. Everything later code relies on is checked here. */
export function problemOf(meta: SnapshotMeta): string | null {
  const { id, index, term, appendedAtMs, sizeBytes, chunkBytes, chunkCount, digest } = meta;
  if (typeof id !== "string" || !ID.test(id)) return "its id is not 1 to 64 lower-case characters";
  if (typeof digest !== "string" || !DIGEST.test(digest)) return "its digest is not a SHA-256";
  for (const [field, value] of Object.entries({ index, term, sizeBytes, chunkBytes, chunkCount })) {
    if (!isCount(value) || value === 0) return `its ${field} is ${String(value)}`;
  }
  if (!isCount(appendedAtMs)) return `its appendedAtMs is ${String(appendedAtMs)}`;
  const { chunkMaxBytes, chunkCountMax } = SNAPSHOT_LIMITS;
  if (chunkBytes > chunkMaxBytes) return `its chunks of ${chunkBytes} B exceed ${chunkMaxBytes} B`;
  if (chunkCount > chunkCountMax) return `its ${chunkCount} chunks exceed ${chunkCountMax}`;
  if (chunkCount !== Math.ceil(sizeBytes / chunkBytes)) {
    return `${chunkCount} chunks of ${chunkBytes} B do not make ${sizeBytes} B`;
  }
  return membershipProblem(meta);
}

function membershipProblem({ membership: at, index }: SnapshotMeta): string | null {
  if (typeof at !== "object" || at === null) return "it has no membership";
  if (!isCount(at.index) || at.index > index) return `its membership index is ${String(at.index)}`;
  const value = at.membership as Partial<Membership> | null;
  if (typeof value !== "object" || value === null) return "it has no membership";
  if (!Array.isArray(value.members) || !value.members.every(isMember)) return "its members are bad";
  for (const field of ["voters", "votersOutgoing", "learners", "learnersNext"] as const) {
    const ids: unknown = value[field];
    if (!Array.isArray(ids) || !ids.every((id) => typeof id === "string")) {
      return `its ${field} are bad`;
    }
  }
  if (encodedBytes(jsonOf({ membership: at })) > SNAPSHOT_LIMITS.headMaxBytes / 2) {
    return "its membership is too large";
  }
  return null;
}

function isMember(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { id, serverId, address } = value as Partial<Member>;
  return [id, serverId, address].every((text) => typeof text === "string");
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

export function encodeHead(meta: SnapshotMeta): Uint8Array {
  return encoder.encode(headText(jsonOf(meta)));
}

function headText(json: string): string {
  const bytes = encoder.encode(json);
  const crc = crc32c(bytes, VERSION).toString(16).padStart(8, "0");
  return `${MAGIC} ${VERSION} ${crc} ${bytes.length}\n${json}\n`;
}

export type HeadResult =
  | { readonly ok: true; readonly meta: SnapshotMeta }
  /** `version`: of a head that is whole, but not of our format; else null. */
  | { readonly ok: false; readonly what: string; readonly version: number | null };

function bad(what: string, version: number | null = null): HeadResult {
  return { ok: false, what, version };
}

/** Decodes a head file. Any byte string gives a meta that passes `problemOf`, or what is wrong with it. */
export function decodeHead(bytes: Uint8Array): HeadResult {
  const line = bytes.subarray(0, HEADER_MAX_BYTES).indexOf(0x0a);
  if (line < 0) return bad("the head has no first line");
  const match = HEADER.exec(String.fromCharCode(...bytes.subarray(0, line)));
  if (match === null) return bad("the head does not begin as a snapshot");
  const version = Number(match[1]);
  const json = bytes.subarray(line + 1, bytes.length - 1);
  if (json.length !== Number(match[3])) return bad("the head has another length");
  if (version > VERSION_MAX || crc32c(json, version) !== Number.parseInt(match[2] as string, 16)) {
    return bad("the checksum of the head is wrong");
  }
  if (bytes[bytes.length - 1] !== 0x0a) return bad("the head does not end");
  if (version !== VERSION) return bad(`the head has format version ${version}`, version);
  return parseMeta(json);
}

function parseMeta(json: Uint8Array): HeadResult {
  try {
    const meta = JSON.parse(decoder.decode(json)) as SnapshotMeta;
    const what = problemOf(meta);
    return what === null ? { ok: true, meta } : bad(what);
  } catch {
    // Not UTF-8, not JSON, or not an object: it was written wrong, since the checksum is right.
    return bad("the head is no JSON of a snapshot");
  }
}

function encodedBytes(text: string): number {
  return encoder.encode(text).length;
}

/** Keys in one order, whatever the order they were set in: equal metas have equal text. */
function jsonOf(value: object): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === "object" && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}
