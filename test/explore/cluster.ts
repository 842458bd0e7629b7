/**
 * Members, messages and histories as small numbers. A state of the whole cluster is then a row of numbers, and a step
 * of one member in one situation is computed by the production core once and looked up afterwards.
 */

import {
  type Batch,
  decodeMembershipBatch,
  type Message,
  type NodeId,
} from "../../src/raft/index.ts";
import type { History } from "./history.ts";
import { type Input, isShared, stepMember } from "./member.ts";
import type { MemberState } from "./member-state.ts";
import { type Naming, TreeHasher } from "./tree.ts";

/** What a member does in one situation. */
export interface Move {
  /** Member number afterwards. */
  readonly next: number;
  /** Message numbers. */
  readonly sent: readonly number[];
  readonly problem: string | null;
}

/** Values of one kind, numbered in order of their appearance, with their hash under every naming of the nodes. */
class Numbered<T extends object> {
  readonly values: T[] = [];
  readonly #hashers: readonly TreeHasher[];
  readonly #numbers = new Map<string, number>();
  /** Two words per naming and value. */
  #hashes = new Int32Array(4096);

  constructor(hashers: readonly TreeHasher[]) {
    this.#hashers = hashers;
  }

  numberOf(value: T): number {
    const first = (this.#hashers[0] as TreeHasher).hash(value);
    const key = `${first.low}:${first.high}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.values.length;
    this.values.push(value);
    this.#numbers.set(key, number);
    const at = number * this.#hashers.length * 2;
    if (at + this.#hashers.length * 2 > this.#hashes.length) {
      const grown = new Int32Array(this.#hashes.length * 2);
      grown.set(this.#hashes);
      this.#hashes = grown;
    }
    this.#hashers.forEach((hasher, naming) => {
      const { low, high } = naming === 0 ? first : hasher.hash(value);
      this.#hashes[at + 2 * naming] = low;
      this.#hashes[at + 2 * naming + 1] = high;
    });
    return number;
  }

  low(number: number, naming: number): number {
    return this.#hashes[(number * this.#hashers.length + naming) * 2] as number;
  }

  high(number: number, naming: number): number {
    return this.#hashes[(number * this.#hashers.length + naming) * 2 + 1] as number;
  }
}

export class Cluster {
  readonly members: Numbered<MemberState>;
  readonly messages: Numbered<Message>;
  readonly histories: Numbered<History>;
  /** Node number of the receiver, by message number. */
  readonly receivers: number[] = [];
  readonly namingCount: number;
  /** How often the production core itself ran. */
  coreRuns = 0;
  readonly #ids: readonly NodeId[];
  readonly #moves: Map<number, Move | null>[] = [];

  /** `isSymmetric`: states that differ by a renaming of the nodes count as one. */
  constructor(ids: readonly NodeId[], isSymmetric: boolean) {
    this.#ids = ids;
    const orders = isSymmetric ? permutations(ids.length) : [ids.map((_, position) => position)];
    this.namingCount = orders.length;
    const hashers = orders.map((order) => new TreeHasher(namingOf(ids, order), project, isShared));
    this.members = new Numbered(hashers);
    this.messages = new Numbered(hashers);
    this.histories = new Numbered(hashers);
  }

  messageNumber(message: Message): number {
    const number = this.messages.numberOf(message);
    this.receivers[number] ??= this.#ids.indexOf(message.to);
    return number;
  }

  /** `key` names the input among all inputs. */
  move(member: number, key: number, input: () => Input): Move | null {
    let moves = this.#moves[member];
    if (moves === undefined) {
      moves = new Map();
      this.#moves[member] = moves;
    }
    const known = moves.get(key);
    if (known !== undefined) return known;
    this.coreRuns += 1;
    const step = stepMember(this.members.values[member] as MemberState, input());
    const move =
      step === null
        ? null
        : {
            next: this.members.numberOf(step.next),
            // To a node that is not part of the run: lost.
            sent: step.sent
              .filter(({ to }) => this.#ids.includes(to))
              .map((message) => this.messageNumber(message)),
            problem: step.problem,
          };
    moves.set(key, move);
    return move;
  }
}

function permutations(count: number): number[][] {
  if (count === 0) return [[]];
  const result: number[][] = [];
  for (const shorter of permutations(count - 1)) {
    for (let at = count - 1; at >= 0; at--) {
      result.push([...shorter.slice(0, at), count - 1, ...shorter.slice(at)]);
    }
  }
  // The names as they are come first.
  return result.sort((a, b) => compare(a, b));
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Ids, and the names and addresses that nodes.ts derives from them. */
function namingOf(ids: readonly NodeId[], order: readonly number[]): Naming {
  const naming = new Map<string, number>();
  ids.forEach((id, position) => {
    const label = order[position] as number;
    naming.set(id, label);
    naming.set(`server-${id}`, 100 + label);
    naming.set(`address-${id}`, 200 + label);
  });
  return naming;
}

const MEMBERSHIPS = new WeakMap<object, object>();

/** What is compared: without counters that only name things, and with node ids out of their bytes. */
function project(value: object): object {
  if ("droppedMessages" in value) {
    const { options, droppedMessages, outbox, ...rest } = value as MemberState["core"];
    return { nodeId: options.nodeId, ...rest };
  }
  // Sequence numbers count from the start of the process; what matters is which are still to be reported.
  if ("nextSequence" in value) {
    const { durableTerm, open, pending, hardStateSequence, stalledTicks } =
      value as MemberState["core"]["work"];
    const held = pending.findIndex(({ sequence }) => sequence === hardStateSequence);
    const pieces = pending.map(({ sequence, ...piece }) => piece);
    return { durableTerm, open, held, stalledTicks, pending: pieces };
  }
  if ("afterDurable" in value) {
    const { hardState, truncateFrom, batches, term } = value as MemberState["works"][number];
    return { hardState, truncateFrom, batches, term };
  }
  if ("body" in value && (value as Batch).kind === 2) {
    let membership = MEMBERSHIPS.get(value);
    if (membership === undefined) {
      membership = decodeMembershipBatch(value as Batch);
      MEMBERSHIPS.set(value, membership);
    }
    const { firstIndex, term } = value as Batch;
    return { firstIndex, term, membership };
  }
  return value;
}
