/**
 * Breadth-first search over the states of a small cluster of production cores.
 *
 * A state is a row of words: member numbers, history number, what is left of each bound, and the messages under way
 * as a sorted multiset. The network delivers them in any order, any time later (loss is never being delivered), and
 * twice as often as the bound on duplicates allows. Each state is remembered by the smallest of its hashes under all
 * namings of the nodes.
 */

import { type Message, MESSAGE } from "../../src/raft/index.ts";
import {
  ACTION,
  type Action,
  type ActionKind,
  decodeAction,
  encodeAction,
  inputOf,
} from "./actions.ts";
import { boundIn, OWN_ACTIONS, packBounds, spend } from "./bounds.ts";
import { Cluster } from "./cluster.ts";
import { advance, NO_HISTORY, type Summary, summarize } from "./history.ts";
import type { Input } from "./member.ts";
import type { MemberState } from "./member-state.ts";
import { NODE_IDS } from "./nodes.ts";
import { WordList } from "./packed.ts";
import type { Scenario, Start } from "./scenarios.ts";
import { describeAction, describeMember } from "./story.ts";
import { Visited } from "./visited.ts";

export interface ExploreOptions {
  /** Stops when this many distinct states are known. */
  readonly statesMax: number;
  readonly onProgress?: (states: number, depth: number) => void;
}

export interface ExploreResult {
  readonly states: number;
  readonly transitions: number;
  /** Steps from the start to the deepest state. */
  readonly depth: number;
  /** Every state within the bounds was seen. */
  readonly isComplete: boolean;
  readonly coreRuns: number;
  readonly memberStates: number;
  readonly violation: FoundViolation | null;
}

export interface FoundViolation {
  readonly problem: string;
  /** The shortest way there, one line per action, with what became of the member that moved. */
  readonly story: readonly string[];
}

/** One state, unpacked. */
interface State {
  readonly members: number[];
  history: number;
  bounds: number;
  /** Sorted message numbers. */
  messages: number[];
}

const PROGRESS_EVERY = 200_000;

export class Explorer {
  readonly #scenario: Scenario;
  readonly #start: Start;
  readonly #cluster: Cluster;
  readonly #visited = new Visited();
  readonly #summaries: Summary[] = [];
  /** By state in order of discovery: where it came from, and by which action. */
  readonly #parents = new WordList();
  readonly #actions = new WordList();
  #level = new WordList();
  #nextLevel = new WordList();
  #transitions = 0;
  #violation: FoundViolation | null = null;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.#start = scenario.start();
    this.#cluster = new Cluster(NODE_IDS, scenario.isSymmetric);
  }

  run(options: ExploreOptions): ExploreResult {
    const { statesMax, onProgress } = options;
    this.#add(this.#startState(), 0, 0);
    [this.#level, this.#nextLevel] = [this.#nextLevel, this.#level];
    let depth = 0;
    let reported = 0;
    let isComplete = true;
    /** Number of the first state of the level. */
    let first = 0;
    search: while (this.#level.length > 0) {
      const count = this.#visited.size - first;
      let at = 0;
      for (let i = 0; i < count; i++) {
        const state = this.#unpack(this.#level, at);
        at += this.#wordsOf(state);
        this.#expand(state, first + i);
        if (this.#violation !== null) break search;
        if (this.#visited.size >= statesMax) {
          isComplete = false;
          break search;
        }
        if (this.#visited.size - reported < PROGRESS_EVERY) continue;
        reported = this.#visited.size;
        onProgress?.(reported, depth);
      }
      first += count;
      if (this.#nextLevel.length > 0) depth += 1;
      [this.#level, this.#nextLevel] = [this.#nextLevel, this.#level];
      this.#nextLevel.clear();
    }
    return {
      states: this.#visited.size,
      transitions: this.#transitions,
      depth: this.#violation === null ? depth : this.#violation.story.length,
      isComplete: isComplete && this.#violation === null,
      coreRuns: this.#cluster.coreRuns,
      memberStates: this.#cluster.members.values.length,
      violation: this.#violation,
    };
  }

  #startState(): State {
    const cluster = this.#cluster;
    const { members, messages, history, bounds } = this.#start;
    return {
      members: members.map((member) => cluster.members.numberOf(member)),
      history: cluster.histories.numberOf(history),
      bounds: packBounds(bounds),
      messages: messages.map((message) => cluster.messageNumber(message)).sort((a, b) => a - b),
    };
  }

  #expand(state: State, number: number): void {
    for (let node = 0; node < state.members.length; node++) {
      this.#deliverAll(state, number, node);
      this.#try(state, number, { kind: ACTION.durable, node, argument: 0 });
      if (boundIn(state.bounds, "crashes") > 0) this.#crash(state, number, node);
      for (const { kind, bound } of OWN_ACTIONS) {
        if (boundIn(state.bounds, bound) === 0) continue;
        const choices = this.#choices(state, node, kind);
        for (let argument = 0; argument < choices; argument++) {
          this.#try(state, number, { kind, node, argument });
        }
      }
    }
  }

  #choices(state: State, node: number, kind: ActionKind): number {
    const { core } = this.#member(state, node);
    const { maxTerm, changes } = this.#scenario;
    if (kind === ACTION.campaign) return core.term < maxTerm ? 1 : 0;
    // A pre-candidate campaigns by itself once it is granted.
    if (kind === ACTION.lapse) return core.term < maxTerm ? 1 : 0;
    if (kind === ACTION.change) return changes.length;
    if (kind === ACTION.transfer) return NODE_IDS.length;
    return 1;
  }

  #deliverAll(state: State, number: number, node: number): void {
    const { messages } = state;
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i] as number;
      if (this.#cluster.receivers[message] !== node || messages[i - 1] === message) continue;
      if (this.#isBeyondTerms(message)) continue;
      this.#try(state, number, { kind: ACTION.deliver, node, argument: message });
      if (boundIn(state.bounds, "duplicates") === 0) continue;
      this.#try(state, number, { kind: ACTION.deliverAgain, node, argument: message });
    }
  }

  /** Pre-votes and time-outs by order of the leader would go beyond the bound on terms by themselves. */
  #isBeyondTerms(number: number): boolean {
    const message = this.#cluster.messages.values[number] as Message;
    if (message.kind === MESSAGE.timeoutNow) return message.term >= this.#scenario.maxTerm;
    return message.term > this.#scenario.maxTerm;
  }

  #crash(state: State, number: number, node: number): void {
    const { works, crashCount } = this.#member(state, node);
    if (crashCount >= this.#scenario.crashesPerMember) return;
    for (let kept = 0; kept <= works.length; kept++) {
      this.#try(state, number, { kind: ACTION.crash, node, argument: kept });
    }
  }

  #member(state: State, node: number): MemberState {
    return this.#cluster.members.values[state.members[node] as number] as MemberState;
  }

  /** Takes one step, if it can be taken, and remembers where it led. */
  #try(state: State, parent: number, action: Action): void {
    const taken = this.#step(state, action);
    if (taken === null) return;
    this.#transitions += 1;
    const { next, problem } = taken;
    if (problem !== null) {
      this.#violation ??= { problem, story: this.#story([...this.#path(parent), action]) };
    } else if (next.messages.length <= this.#scenario.maxMessages) {
      this.#add(next, parent, encodeAction(action));
    }
  }

  #step(state: State, action: Action): { next: State; problem: string | null } | null {
    const { node, kind, argument } = action;
    const { receivers } = this.#cluster;
    const before = state.members[node] as number;
    const key = this.#inputKey(state, action);
    const move = this.#cluster.move(before, key, () => this.#input(state, action));
    if (move === null) return null;
    let kept = state.messages;
    if (kind === ACTION.deliver) kept = without(kept, argument);
    // Connections end with the process: what was on its way to it is gone.
    if (kind === ACTION.crash) kept = kept.filter((message) => receivers[message] !== node);
    const next: State = {
      members: state.members.with(node, move.next),
      history: state.history,
      bounds: spend(state.bounds, kind),
      messages: merge(kept, move.sent),
    };
    return { next, problem: move.problem ?? this.#advance(next, before, node) };
  }

  /** The history and its invariants, where the step can matter to them. */
  #advance(next: State, before: number, node: number): string | null {
    if (next.members[node] === before) return null;
    const summaries = next.members.map((member) => this.#summary(member));
    const history = this.#cluster.histories.values[next.history];
    const result = advance(history ?? NO_HISTORY, summaries, node, this.#summary(before));
    if (result.problem !== null) return result.problem;
    if (result.history !== history) next.history = this.#cluster.histories.numberOf(result.history);
    return null;
  }

  #summary(member: number): Summary {
    let summary = this.#summaries[member];
    if (summary === undefined) {
      summary = summarize(this.#cluster.members.values[member] as MemberState);
      this.#summaries[member] = summary;
    }
    return summary;
  }

  /** The same number for the same input: a read also depends on what was committed when it was asked for. */
  #inputKey(state: State, { kind, argument }: Action): number {
    const extra = kind === ACTION.read ? this.#committedIndex(state) : argument;
    const tag = kind === ACTION.propose ? boundIn(state.bounds, "proposals") : extra;
    return (kind === ACTION.deliverAgain ? ACTION.deliver : kind) * 0x200_0000 + tag;
  }

  #input(state: State, action: Action): Input {
    return inputOf(action, {
      message: (number) => this.#cluster.messages.values[number] as Message,
      proposalTag: boundIn(state.bounds, "proposals"),
      floorIndex: this.#committedIndex(state),
      changes: this.#scenario.changes,
    });
  }

  #committedIndex(state: State): number {
    return this.#cluster.histories.values[state.history]?.committed.length ?? 0;
  }

  /** Remembers a state unless it is known. */
  #add(state: State, parent: number, action: number): void {
    if (!this.#isNew(state)) return;
    this.#parents.push(parent);
    this.#actions.push(action);
    const list = this.#nextLevel;
    for (const member of state.members) list.push(member);
    list.push(state.history);
    list.push(state.bounds);
    list.push(state.messages.length);
    for (const message of state.messages) list.push(message);
  }

  #isNew(state: State): boolean {
    const { members, messages, histories, namingCount } = this.#cluster;
    let bestLow = 0;
    let bestHigh = 0;
    for (let naming = 0; naming < namingCount; naming++) {
      let low = histories.low(state.history, naming) + Math.imul(state.bounds, 0x9e3779b1);
      let high = histories.high(state.history, naming) + Math.imul(state.bounds, 0x7feb352d);
      for (const member of state.members) {
        low = (low + members.low(member, naming)) | 0;
        high = (high + members.high(member, naming)) | 0;
      }
      for (const message of state.messages) {
        low = (low + messages.low(message, naming)) | 0;
        high = (high + messages.high(message, naming)) | 0;
      }
      const isBetter = low < bestLow || (low === bestLow && high < bestHigh);
      if (naming > 0 && !isBetter) continue;
      bestLow = low;
      bestHigh = high;
    }
    return this.#visited.add(bestLow, bestHigh);
  }

  #unpack(list: WordList, at: number): State {
    const nodes = NODE_IDS.length;
    const members: number[] = [];
    for (let i = 0; i < nodes; i++) members.push(list.at(at + i));
    const count = list.at(at + nodes + 2);
    const messages: number[] = [];
    for (let i = 0; i < count; i++) messages.push(list.at(at + nodes + 3 + i));
    return { members, history: list.at(at + nodes), bounds: list.at(at + nodes + 1), messages };
  }

  #wordsOf(state: State): number {
    return state.members.length + 3 + state.messages.length;
  }

  #story(path: readonly Action[]): string[] {
    const cluster = this.#cluster;
    const messageOf = (number: number): Message => cluster.messages.values[number] as Message;
    let state = this.#startState();
    return path.map((action) => {
      state = this.#step(state, action)?.next ?? state;
      const member = describeMember(this.#member(state, action.node));
      return `${describeAction(action, messageOf)}\n        ${member}`;
    });
  }

  #path(number: number): Action[] {
    const path: Action[] = [];
    for (let at = number; at > 0; at = this.#parents.at(at)) {
      path.push(decodeAction(this.#actions.at(at)));
    }
    return path.reverse();
  }
}

/** One fewer of it. */
function without(messages: readonly number[], message: number): number[] {
  const result = [...messages];
  result.splice(result.indexOf(message), 1);
  return result;
}

function merge(messages: readonly number[], sent: readonly number[]): number[] {
  if (sent.length === 0) return [...messages];
  return [...messages, ...sent].sort((a, b) => a - b);
}
