/**
 * A configuration as bytes, and as the log entry that brings it.
 *
 * ```
 * membership: u32 members | u32 0 | member | member | ...            members ascend by id
 * member:     u16 id bytes | u16 server id bytes | u16 address bytes | u8 roles | u8 0
 *             | id | server id | address | zeros to 8
 * roles:      1 voter   2 outgoing voter   4 learner   8 learner when the joint configuration is left
 * ```
 *
 * Roles instead of id lists: a list that names a stranger, twice the same, or out of order cannot be written down.
 */

import { assert } from "../../base/index.ts";
import {
  COMMAND,
  COMMAND_VERSION,
  ENTRY_HEADER_BYTES,
  iterateEntries,
} from "../../protocol/index.ts";
import type { Batch, Member, Membership } from "../types.ts";
import { align8, check, codecError, encodeText, RecordReader, RecordWriter } from "./bytes.ts";
import { encodeId, isId } from "./ids.ts";
import { CODEC_LIMITS } from "./limits.ts";

const HEADER_BYTES = 8;
const MEMBER_HEADER_BYTES = 8;

const ROLE_BIT = { voter: 1, voterOutgoing: 2, learner: 4, learnerNext: 8 } as const;

/** Which bits may stand together. A voter may be outgoing, too; a voter that becomes a learner is only outgoing. */
const ROLE_SETS: ReadonlySet<number> = new Set([
  ROLE_BIT.voter,
  ROLE_BIT.voterOutgoing,
  ROLE_BIT.voter | ROLE_BIT.voterOutgoing,
  ROLE_BIT.learner,
  ROLE_BIT.voterOutgoing | ROLE_BIT.learnerNext,
]);

/**
 * What is wrong with a configuration, or null: lists sorted and without repeats, every id known and every member in a
 * list, no member in lists that exclude each other, a voter left, everything within CODEC_LIMITS.
 */
export function membershipProblem(membership: Membership): string | null {
  const { members, voters, votersOutgoing, learners, learnersNext } = membership;
  if (members.length > CODEC_LIMITS.membersMax) {
    return `${members.length} members, limit is ${CODEC_LIMITS.membersMax}`;
  }
  const ids = new Set(members.map(({ id }) => id));
  if (ids.size !== members.length) return "a member stands twice";
  if (voters.length === 0) return "no voter";
  for (const list of [voters, votersOutgoing, learners, learnersNext]) {
    if (list.some((id, i) => i > 0 && (list[i - 1] as string) >= id)) return "a list is not sorted";
    if (list.some((id) => !ids.has(id))) return "a list names a stranger";
  }
  for (const member of members) {
    const problem = memberProblem(member);
    if (problem !== null) return problem;
    if (!ROLE_SETS.has(rolesOf(membership, member.id))) {
      return `member "${member.id}" has no role, or roles that exclude each other`;
    }
  }
  return null;
}

function memberProblem({ id, serverId, address }: Member): string | null {
  if (!isId(id)) return `${JSON.stringify(id)} is not a node id`;
  const { serverIdMaxBytes, addressMaxBytes } = CODEC_LIMITS;
  if (!isText(serverId, serverIdMaxBytes)) {
    return `server id of "${id}" is not text of at most ${serverIdMaxBytes} bytes`;
  }
  if (!isText(address, addressMaxBytes)) {
    return `address of "${id}" is not text of at most ${addressMaxBytes} bytes`;
  }
  return null;
}

function isText(text: string, maxBytes: number): boolean {
  // Lone surrogates would come back as another character.
  return Buffer.byteLength(text) <= maxBytes && !/\p{Surrogate}/u.test(text);
}

function rolesOf(membership: Membership, id: string): number {
  return (
    (membership.voters.includes(id) ? ROLE_BIT.voter : 0) +
    (membership.votersOutgoing.includes(id) ? ROLE_BIT.voterOutgoing : 0) +
    (membership.learners.includes(id) ? ROLE_BIT.learner : 0) +
    (membership.learnersNext.includes(id) ? ROLE_BIT.learnerNext : 0)
  );
}

/** Shape: length is a multiple of 8; equal configurations give equal bytes, whatever the order of `members`. */
export function encodeMembership(membership: Membership): Uint8Array {
  const problem = membershipProblem(membership);
  assert(problem === null, `Cannot encode a membership: ${problem}`);
  const members = membership.members.map((member) => ({
    roles: rolesOf(membership, member.id),
    id: member.id,
    texts: [
      encodeId(member.id, "node id"),
      encodeText(member.serverId, CODEC_LIMITS.serverIdMaxBytes, "server id"),
      encodeText(member.address, CODEC_LIMITS.addressMaxBytes, "address"),
    ],
  }));
  members.sort((a, b) => (a.id < b.id ? -1 : 1));
  const sizes = members.map(({ texts }) =>
    align8(MEMBER_HEADER_BYTES + texts.reduce((sum, text) => sum + text.length, 0)),
  );
  const writer = new RecordWriter(HEADER_BYTES + sizes.reduce((sum, size) => sum + size, 0));
  writer.u32(members.length).u32(0);
  for (const { texts, roles } of members) {
    for (const text of texts) writer.u16(text.length);
    writer.u8(roles).u8(0);
    for (const text of texts) writer.raw(text);
    writer.align();
  }
  return writer.bytes;
}

/**
 * Reads bytes[offset, offset + length).
 *
 * Errors: HearthError invalid_argument with a CodecReason, whatever the bytes.
 */
export function decodeMembership(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): Membership {
  // The range of its own: alignment is relative to where the membership begins.
  const reader = new RecordReader(bytes.subarray(offset, offset + length));
  const count = reader.u32();
  if (count > CODEC_LIMITS.membersMax) {
    throw codecError("too_large", `${count} members, limit is ${CODEC_LIMITS.membersMax}`);
  }
  check(reader.u32() === 0, "reserved bytes of a membership are not zero");
  const members: Member[] = [];
  const voters: string[] = [];
  const votersOutgoing: string[] = [];
  const learners: string[] = [];
  const learnersNext: string[] = [];
  for (let i = 0; i < count; i++) {
    const { member, roles } = readMember(reader);
    check(i === 0 || (members[i - 1] as Member).id < member.id, "members are not sorted");
    members.push(member);
    if ((roles & ROLE_BIT.voter) !== 0) voters.push(member.id);
    if ((roles & ROLE_BIT.voterOutgoing) !== 0) votersOutgoing.push(member.id);
    if ((roles & ROLE_BIT.learner) !== 0) learners.push(member.id);
    if ((roles & ROLE_BIT.learnerNext) !== 0) learnersNext.push(member.id);
  }
  reader.expectEnd();
  check(voters.length > 0, "a membership without voters");
  return { members, voters, votersOutgoing, learners, learnersNext };
}

function readMember(reader: RecordReader): { readonly member: Member; readonly roles: number } {
  const idBytes = reader.u16();
  const serverIdBytes = reader.u16();
  const addressBytes = reader.u16();
  const roles = reader.u8();
  check(ROLE_SETS.has(roles), `roles ${roles} of a member`);
  check(reader.u8() === 0, "reserved byte of a member is not zero");
  const member = {
    id: reader.id(idBytes, "node id"),
    serverId: reader.text(serverIdBytes, CODEC_LIMITS.serverIdMaxBytes, "server id"),
    address: reader.text(addressBytes, CODEC_LIMITS.addressMaxBytes, "address"),
  };
  reader.align();
  return { member, roles };
}

/** Body of a membership batch: one entry, framed like every other entry of the log. */
export function encodeMembershipBody(membership: Membership): Uint8Array {
  const payload = encodeMembership(membership);
  const writer = new RecordWriter(ENTRY_HEADER_BYTES + payload.length);
  writer.u32(payload.length).u16(COMMAND.membership).u16(COMMAND_VERSION).integer(0).raw(payload);
  return writer.bytes;
}

/**
 * The configuration in a batch of kind membership.
 *
 * Errors: HearthError invalid_argument when the batch is not exactly one membership entry.
 */
export function decodeMembershipBatch(batch: Pick<Batch, "body" | "bodyBytes">): Membership {
  const { body, bodyBytes } = batch;
  let found: Membership | null = null;
  const count = iterateEntries(body, bodyBytes, (command, version, offset, length, position) => {
    if (position > 0) return;
    check(command === COMMAND.membership, `command ${command} in a membership batch`);
    check(version === COMMAND_VERSION, `version ${version} of a membership entry`);
    found = decodeMembership(body, offset, length);
  });
  if (found === null || count !== 1) {
    throw codecError("bad_content", `${count} entries in a membership batch`);
  }
  return found;
}
