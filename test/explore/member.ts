/**
 * One member: the production core, its disk, and the durable work under way. `stepMember` is a pure function from a
 * member and an input to the next member and what it sent, so that the explorer runs the core once per pair and looks
 * the answer up from then on.
 *
 * What a driver may do in any order is an input of its own (a report of durability); what it does at once, without a
 * choice that matters to safety, happens inside of a step (applying, reading the log for a slow peer).
 */

import {
  type AppendWork,
  createOutput,
  type Member,
  type MembershipAt,
  type MembershipChange,
  type Message,
  MESSAGE,
  type NodeId,
  RaftCore,
  type RaftOptions,
  type ReadGrant,
  ROLE,
} from "../../src/raft/index.ts";
import { checkMember, checkSent } from "./member-checks.ts";
import type { MemberState, PendingRead } from "./member-state.ts";
import { type Disk, EMPTY_DISK, perform, startFrom, viewOf } from "./disk.ts";
import { cloneTree } from "./tree.ts";

export type Input =
  | { readonly kind: "deliver"; readonly message: Message }
  /** The oldest durable work is on the disk. */
  | { readonly kind: "durable" }
  /** Stops and starts again; of the work under way the first `kept` pieces had reached the disk. */
  | { readonly kind: "crash"; readonly kept: number }
  | { readonly kind: "campaign" }
  /** An election timeout passes without a message; heartbeats of that time are lost. */
  | { readonly kind: "lapse" }
  /** One heartbeat interval. */
  | { readonly kind: "beat" }
  | { readonly kind: "propose"; readonly tag: number }
  | { readonly kind: "read"; readonly floorIndex: number }
  | { readonly kind: "change"; readonly changes: readonly MembershipChange[] }
  | { readonly kind: "transfer"; readonly to: NodeId };

export interface Step {
  readonly next: MemberState;
  readonly sent: readonly Message[];
  /** A violated invariant that this member shows by itself. */
  readonly problem: string | null;
}

const TICKS = { election: 3, heartbeat: 1 };
/** Log time plays no part in safety. */
const NOW_MS = 1;

export function raftOptions(nodeId: NodeId): RaftOptions {
  return {
    nodeId,
    electionTicks: TICKS.election,
    heartbeatTicks: TICKS.heartbeat,
    // One batch per message: two entries may arrive apart.
    appendMaxBytes: 1,
    inflightMaxMessages: 4,
    inflightMaxBytes: 4096,
    inflightMaxChunks: 1,
    uncommittedMaxBytes: 4096,
    tailMaxBytes: 1_000_000,
    promoteMaxLag: 10,
  };
}

/** The longest election timeout: the moment of a campaign is an input of its own. */
const SLOWEST = (): number => 0xffff_ffff;

/** What starts from a disk. */
export function bootMember(nodeId: NodeId, disk: Disk, crashCount: number): MemberState {
  const core = new RaftCore(raftOptions(nodeId), startFrom(disk), viewOf(disk), SLOWEST);
  return settle({ core, disk, works: [], reads: [], crashCount }).next;
}

/** A member of a new cluster, its first entry already durable. */
export function bootstrapMember(nodeId: NodeId, members: readonly Member[]): MemberState {
  const start = startFrom(EMPTY_DISK);
  const core = new RaftCore(raftOptions(nodeId), start, viewOf(EMPTY_DISK), SLOWEST);
  core.bootstrap(members);
  const before = { core, disk: EMPTY_DISK, works: [], reads: [], crashCount: 0 };
  let member = settle(before).next;
  while (member.works.length > 0) {
    const { next, problem } = stepMember(member, { kind: "durable" }) as Step;
    if (problem !== null) throw new Error(`A new cluster violates: ${problem}`);
    member = next;
  }
  return member;
}

/** Batches, messages and configurations never change once made. */
export function isShared(value: object): boolean {
  return "body" in value || "from" in value || "members" in value || value instanceof Uint8Array;
}

/** A running core with a copy of the state: the original stays as it is. */
function revive({ core, disk }: MemberState): RaftCore {
  const { nodeId } = core.options;
  const revived = new RaftCore(raftOptions(nodeId), startFrom(EMPTY_DISK), viewOf(disk), SLOWEST);
  return Object.assign(revived, { state: cloneTree(core, isShared) });
}

/** Null when the input cannot happen now: not the leader, nothing to report. */
export function stepMember(member: MemberState, input: Input): Step | null {
  if (input.kind === "crash") return crash(member, input.kept);
  const core = revive(member);
  const run: Running = { ...member, core };
  try {
    if (!feed(run, core, input)) return null;
    return settle(run, member);
  } catch (error) {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { next: member, sent: [], problem: `assertion: ${text}` };
  }
}

interface Running {
  readonly core: RaftCore;
  disk: Disk;
  works: readonly AppendWork[];
  reads: readonly PendingRead[];
  readonly crashCount: number;
}

function feed(run: Running, core: RaftCore, input: Exclude<Input, { kind: "crash" }>): boolean {
  switch (input.kind) {
    case "deliver":
      if (input.message.kind === MESSAGE.vote) forgetLeader(run, core);
      core.step(input.message);
      return true;
    case "durable": {
      const [work, ...rest] = run.works;
      if (work === undefined) return false;
      run.disk = perform(run.disk, work);
      run.works = rest;
      core.durable(work.sequence, work.term);
      return true;
    }
    case "campaign":
      return campaign(run, core);
    case "lapse":
      for (let i = 0; i < TICKS.election; i++) {
        core.tick();
        // Lost: whatever is sent while time passes unheard.
        if (i + 1 < TICKS.election) discardSent(run, core);
      }
      return true;
    case "beat":
      if (!core.isLeader) return false;
      core.tick();
      return true;
    case "propose":
      return core.propose(entry(input.tag), NOW_MS).ok;
    case "read": {
      const id = core.state.reads.newestId + 1;
      run.reads = [...run.reads, { id, floorIndex: input.floorIndex }];
      core.read(id);
      return true;
    }
    case "change":
      return core.changeMembership(input.changes, NOW_MS).ok;
    case "transfer":
      return core.transfer(input.to) === null;
  }
}

/**
 * An election without the questions before it: pre-votes promise nothing, so safety must not depend on them, and a
 * search that takes them as granted sees more.
 */
function campaign(run: Running, core: RaftCore): boolean {
  if (core.isLeader) return false;
  core.campaign();
  discardSent(run, core);
  const { state } = core;
  const { membership } = state.log.memberships.at(-1) as MembershipAt;
  const nodeId = state.options.nodeId;
  const others = [...membership.voters, ...membership.votersOutgoing].filter((id) => id !== nodeId);
  for (const from of others) {
    if (state.role !== ROLE.preCandidate) break;
    core.step({
      kind: MESSAGE.preVoteReply,
      from,
      to: nodeId,
      term: state.term,
      askedTerm: state.campaignTerm,
      isGranted: true,
    });
  }
  return state.role === ROLE.candidate;
}

/** A vote arrives when the voter has not heard of its leader for long enough: or it would not count at all. */
function forgetLeader(run: Running, core: RaftCore): void {
  const { state } = core;
  while (!core.isLeader && state.electionElapsed < TICKS.election) core.tick();
  discardSent(run, core);
}

/** One entry with a payload of its own: 16 bytes of header, 8 of payload. */
function entry(tag: number): { body: Uint8Array; bodyBytes: number; count: number } {
  const body = new Uint8Array(24);
  const view = new DataView(body.buffer);
  view.setUint32(0, 8, true);
  view.setUint32(16, tag, true);
  return { body, bodyBytes: body.length, count: 1 };
}

function discardSent(run: Running, core: RaftCore): void {
  const out = createOutput();
  core.drain(out);
  run.works = [...run.works, ...out.append];
}

/** Does what a driver does at once: takes the output, applies what may be applied. */
function settle(run: Running, before: MemberState | null = null): Step {
  const { core } = run;
  const out = createOutput();
  const sent: Message[] = [];
  let stale: string | null = null;
  for (;;) {
    core.drain(out);
    sent.push(...out.send);
    run.works = [...run.works, ...out.append];
    for (const grant of out.reads) stale ??= takeGrant(run, grant);
    if (core.applicableIndex === core.state.appliedIndex) break;
    core.applied(core.applicableIndex);
  }
  const { disk, works, reads, crashCount } = run;
  const next: MemberState = { core: core.state, disk, works, reads, crashCount };
  return { next, sent, problem: stale ?? checkMember(next, before) ?? checkSent(sent, next) };
}

/** A read is granted an index at or above everything committed before it was asked for. */
function takeGrant(run: Running, { throughId, index }: ReadGrant): string | null {
  const stale = run.reads.find(({ id, floorIndex }) => id <= throughId && floorIndex > index);
  run.reads = run.reads.filter(({ id }) => id > throughId);
  if (stale === undefined) return null;
  return `linearizable reads: granted index ${index}, but ${stale.floorIndex} was committed before the read`;
}

/** What was not durable is gone, but for the first pieces; memory is gone, too. */
function crash(member: MemberState, kept: number): Step | null {
  if (kept > member.works.length) return null;
  const disk = member.works.slice(0, kept).reduce(perform, member.disk);
  const nodeId = member.core.options.nodeId;
  return { next: bootMember(nodeId, disk, member.crashCount + 1), sent: [], problem: null };
}
