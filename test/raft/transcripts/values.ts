/** What `expect` may ask for, as text. */

import assert from "node:assert/strict";
import { MESSAGE, type PeerStatus } from "../../../src/raft/index.ts";
import { formatMembership } from "./format.ts";
import type { Member } from "./member.ts";
import type { Scenario } from "./scenario.ts";

type Value = (member: Member, argument: string) => unknown;

/** About a member; some take an argument before the wanted value. */
const VALUES: Readonly<Record<string, Value>> = {
  role: (member) => member.core.status().role,
  term: (member) => member.core.term,
  vote: (member) => member.core.status().vote || "-",
  leader: (member) => member.core.leader || "-",
  commit: (member) => member.core.commitIndex,
  applicable: (member) => member.core.applicableIndex,
  applied: (member) => member.appliedIndex,
  last: (member) => member.core.lastIndex,
  first: (member) => member.core.status().firstIndex,
  uncommitted: (member) => member.core.status().uncommittedBytes,
  stalled: (member) => member.core.status().stalledTicks,
  abstains: (member) => member.core.status().abstains,
  transfers: (member) => member.core.status().transferTo || "-",
  members: (member) => formatMembership(member.core.status().membership.membership),
  /** On the disk. */
  log: (member) => member.disk.terms.join(" ") || "-",
  saved: (member) => `${member.disk.hardState.term} ${member.disk.hardState.vote || "-"}`,
  newest: (member) => member.disk.batches.at(-1)?.appendedAtMs ?? 0,
};

const VALUES_WITH_ARGUMENT: Readonly<Record<string, Value>> = {
  match: (member, peer) => peerOf(member, peer).matchIndex,
  next: (member, peer) => peerOf(member, peer).nextIndex,
  inflight: (member, peer) => peerOf(member, peer).inflightMessages,
  progress: (member, peer) => peerOf(member, peer).state,
  read: (member, id) => member.grants.get(Number(id)) ?? "waiting",
};

function peerOf(member: Member, id: string): PeerStatus {
  const peer = member.core.status().peers.find((status) => status.id === id);
  assert.ok(peer !== undefined, `${member.id} does not know ${id}`);
  return peer;
}

export function expectedOf(
  scenario: Scenario,
  words: readonly string[],
  outcome: string,
): { readonly value: string; readonly wanted: string } {
  const [first, name, ...rest] = words as [string, string, ...string[]];
  if (first === "outcome") return { value: outcome, wanted: name };
  if (first === "rejections") {
    return { value: String(scenario.rejections.get(name) ?? 0), wanted: rest.join(" ") };
  }
  if (first.includes("->")) {
    const kinds = scenario.queue(first).map(({ kind }) => nameOf(kind));
    return { value: kinds.join(" "), wanted: words.slice(1).join(" ") };
  }
  const member = scenario.get(first);
  const value = VALUES[name];
  if (value !== undefined) return { value: String(value(member, "")), wanted: rest.join(" ") };
  const withArgument = VALUES_WITH_ARGUMENT[name];
  assert.ok(withArgument !== undefined, `nothing is called "${name}"`);
  const [argument, ...wanted] = rest as [string, ...string[]];
  return { value: String(withArgument(member, argument)), wanted: wanted.join(" ") };
}

function nameOf(kind: number): string {
  const found = Object.entries(MESSAGE).find(([, value]) => value === kind);
  return found?.[0] ?? String(kind);
}
