/** Brings a cluster to where a search starts, by steps of the same members that the search takes. */

import {
  CHANGE,
  type MembershipChange,
  type Message,
  MESSAGE,
  type NodeId,
  ROLE,
} from "../../src/raft/index.ts";
import { EMPTY_DISK } from "./disk.ts";
import { advance, type History, NO_HISTORY, summarize } from "./history.ts";
import { bootMember, bootstrapMember, type Input, stepMember } from "./member.ts";
import type { MemberState } from "./member-state.ts";
import { memberOf, NODE_IDS } from "./nodes.ts";

/** An invariant that does not even hold on the way to where a search starts. */
export class PrefixViolation extends Error {
  override readonly name = "PrefixViolation";
}

/** Rounds after which everything has become quiet, or never will. */
const ROUNDS_MAX = 200;

export class Script {
  readonly members: MemberState[];
  messages: Message[] = [];
  history: History = NO_HISTORY;

  /** Nodes that are not among the first voters wait to join. */
  constructor(voters: readonly number[]) {
    const first = voters.map(memberOf);
    this.members = NODE_IDS.map((id, node) =>
      voters.includes(node) ? bootstrapMember(id, first) : bootMember(id, EMPTY_DISK, 0),
    );
  }

  do(node: number, input: Input): this {
    const before = this.members[node] as MemberState;
    const step = stepMember(before, input);
    if (step === null) throw new Error(`Node ${node} cannot ${input.kind}`);
    this.members[node] = step.next;
    this.messages.push(...step.sent);
    const result = advance(this.history, this.members.map(summarize), node, summarize(before));
    const problem = step.problem ?? result.problem;
    if (problem !== null) throw new PrefixViolation(problem);
    if (result.problem === null) this.history = result.history;
    return this;
  }

  /** The node wins an election, and everybody takes over what the new leader has. */
  elect(node: number): this {
    this.do(node, { kind: "campaign" }).calm();
    if (this.members[node]?.core.role !== ROLE.leader) throw new Error(`Node ${node} did not win`);
    return this;
  }

  /** The node wins with the votes of `voters`; what it sends as a leader does not arrive. */
  win(node: number, voters: readonly number[]): this {
    this.do(node, { kind: "campaign" }).do(node, { kind: "durable" });
    for (const voter of voters) {
      this.deliver(voter, MESSAGE.vote).do(voter, { kind: "durable" });
      this.deliver(node, MESSAGE.voteReply);
    }
    if (this.members[node]?.core.role !== ROLE.leader) throw new Error(`Node ${node} did not win`);
    return this.do(node, { kind: "durable" });
  }

  /** The first message of the kind arrives. */
  deliver(node: number, kind: Message["kind"]): this {
    const id = NODE_IDS[node];
    const at = this.messages.findIndex((message) => message.to === id && message.kind === kind);
    const [message] = this.messages.splice(at, at < 0 ? 0 : 1);
    if (message === undefined) throw new Error(`No message of kind ${kind} for node ${node}`);
    return this.do(node, { kind: "deliver", message });
  }

  change(node: number, changes: readonly MembershipChange[]): this {
    return this.do(node, { kind: "change", changes }).calm();
  }

  /** Node 0 leads. */
  addLearner(node: number): this {
    return this.change(0, [{ kind: CHANGE.addLearner, member: memberOf(node) }]);
  }

  /** Everything that was sent to one of these nodes arrives, everything they write becomes durable, until it is quiet. */
  calm(nodes: readonly number[] = NODE_IDS.map((_, node) => node)): this {
    const ids: NodeId[] = nodes.map((node) => NODE_IDS[node] as NodeId);
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const [message] = this.messages.splice(
        this.messages.findIndex(({ to }) => ids.includes(to)),
        this.messages.some(({ to }) => ids.includes(to)) ? 1 : 0,
      );
      if (message !== undefined)
        this.do(NODE_IDS.indexOf(message.to), { kind: "deliver", message });
      const writer = nodes.find((node) => this.members[node]?.works.length);
      if (writer !== undefined) this.do(writer, { kind: "durable" });
      if (message === undefined && writer === undefined) return this;
    }
    throw new Error("The prefix does not become quiet");
  }

  /** Everything under way is lost. */
  lose(): this {
    this.messages = [];
    return this;
  }

  /** Only what was on the disk is left. */
  crash(node: number): this {
    const id = NODE_IDS[node] as NodeId;
    this.messages = this.messages.filter(({ to }) => to !== id);
    return this.do(node, { kind: "crash", kept: 0 });
  }

  start(): { members: readonly MemberState[]; messages: readonly Message[]; history: History } {
    return { members: this.members, messages: this.messages, history: this.history };
  }
}
