/** A cluster in memory where nothing moves by itself: every message, tick and write happens because a script says so. */

import assert from "node:assert/strict";
import {
  type Batch,
  decodeMessage,
  encodeMessage,
  joinPieces,
  type Membership,
  type MembershipAt,
  MESSAGE,
  type Message,
  type NodeId,
  type RaftOptions,
} from "../../../src/raft/index.ts";
import { formatBatch, formatMessage } from "./format.ts";
import { Member, type World } from "./member.ts";

/** Messages that one `run` may deliver: a script that needs more talks in circles. */
const RUN_MAX_MESSAGES = 2_000;

export class Scenario implements World {
  readonly members = new Map<NodeId, Member>();
  /** Messages under way, oldest first, by `from->to`. */
  readonly links = new Map<string, Message[]>();
  readonly cuts = new Set<string>();
  readonly options: Record<string, number> = {
    electionTicks: 10,
    heartbeatTicks: 2,
    appendMaxBytes: 1_000,
    inflightMaxMessages: 8,
    inflightMaxBytes: 10_000,
    inflightMaxChunks: 2,
    uncommittedMaxBytes: 10_000,
    tailMaxBytes: 10_000,
    promoteMaxLag: 2,
  };
  /** Rejected appends so far, by link of the rejection. */
  readonly rejections = new Map<string, number>();
  nowMs = 1000;
  /** What happened since it was last taken. */
  readonly lines: string[] = [];
  readonly #applied = new Map<number, string>();
  readonly #leaders = new Map<number, NodeId>();
  #membership: Membership | null = null;
  #isStarted = false;

  say(line: string): void {
    this.lines.push(line);
  }

  /** Every message goes through bytes: what the core says must be what the codec takes. */
  send(message: Message): void {
    const decoded = decodeMessage(joinPieces(encodeMessage(message)));
    const link = `${message.from}->${message.to}`;
    const isCut = this.cuts.has(link) || this.members.get(message.to) === undefined;
    this.say(`${link} ${formatMessage(decoded)}${isCut ? " (lost)" : ""}`);
    if (decoded.kind === MESSAGE.appendReply && decoded.isRejected) {
      this.rejections.set(link, (this.rejections.get(link) ?? 0) + 1);
    }
    if (isCut) return;
    const queue = this.links.get(link) ?? [];
    queue.push(decoded);
    this.links.set(link, queue);
  }

  apply(id: NodeId, batch: Batch): void {
    const text = formatBatch(batch);
    for (let i = 0; i < batch.count; i++) {
      const known = this.#applied.get(batch.firstIndex + i);
      assert.ok(
        known === undefined || known === text,
        `${id} applies ${text} where another applied ${known}`,
      );
      this.#applied.set(batch.firstIndex + i, text);
    }
  }

  /** Members that know each other from the start, without an entry that says so. */
  create(voters: readonly NodeId[], learners: readonly NodeId[]): void {
    const ids = [...voters, ...learners].sort();
    this.#membership = {
      members: ids.map((id) => ({ id, serverId: id, address: `${id}:1` })),
      voters: [...voters].sort(),
      votersOutgoing: [],
      learners: [...learners].sort(),
      learnersNext: [],
    };
    for (const id of ids) this.#add(id, { index: 0, membership: this.#membership });
  }

  /** A member that has been told nothing. */
  createNewcomer(id: NodeId): void {
    this.#add(id, null);
    if (this.#isStarted) this.get(id).start();
  }

  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    for (const member of this.members.values()) member.start();
  }

  get(id: NodeId): Member {
    const member = this.members.get(id);
    assert.ok(member !== undefined, `no member "${id}"`);
    return member;
  }

  /** Links that a pattern names, in order: `a->b`, `a->*`, `*->b`, `*->*`. */
  linksOf(pattern: string): string[] {
    const [from, to] = pattern.split("->");
    assert.ok(from !== undefined && to !== undefined, `"${pattern}" is not a link`);
    const ids = [...this.members.keys()].sort();
    const matching = ids.flatMap((a) => ids.map((b) => [a, b] as const));
    return matching
      .filter(([a, b]) => a !== b && (from === "*" || from === a) && (to === "*" || to === b))
      .map(([a, b]) => `${a}->${b}`);
  }

  queue(link: string): Message[] {
    return this.links.get(link) ?? [];
  }

  /** Delivers the oldest message of a link. */
  deliver(link: string): void {
    const message = this.queue(link).shift();
    assert.ok(message !== undefined, `nothing is under way from ${link}`);
    const member = this.get(message.to);
    if (member.raft === null) {
      this.say(`${link.replace("->", "=>")} ${formatMessage(message)} (down)`);
      return;
    }
    this.say(`${link.replace("->", "=>")} ${formatMessage(message)}`);
    this.act(member, () => member.core.step(message));
  }

  /** Delivers everything among `ids` until nothing is under way. */
  run(ids: readonly NodeId[]): void {
    for (let count = 0; count < RUN_MAX_MESSAGES; count++) {
      const link = this.linksOf("*->*").find((name) => {
        const [from, to] = name.split("->") as [NodeId, NodeId];
        return ids.includes(from) && ids.includes(to) && this.queue(name).length > 0;
      });
      if (link === undefined) return;
      this.deliver(link);
    }
    assert.fail("the members never stop talking");
  }

  /** One input to a core, and what follows from it. */
  act(member: Member, input: () => void): void {
    input();
    member.settle();
    if (member.raft?.isLeader !== true) return;
    const { term } = member.raft;
    const leader = this.#leaders.get(term) ?? member.id;
    assert.equal(leader, member.id, `two leaders in term ${term}`);
    this.#leaders.set(term, member.id);
  }

  #add(id: NodeId, membership: MembershipAt | null): void {
    const options = { ...this.options, nodeId: id } as unknown as RaftOptions;
    this.members.set(id, new Member(options, this, membership));
  }
}
