/** What can happen next, as numbers and as inputs of a member. */

import type { MembershipChange, Message, NodeId } from "../../src/raft/index.ts";
import type { Input } from "./member.ts";
import { NODE_IDS } from "./nodes.ts";

export const ACTION = {
  deliver: 1,
  /** Delivered, and still under way: a duplicate. */
  deliverAgain: 2,
  durable: 3,
  crash: 4,
  campaign: 5,
  lapse: 6,
  beat: 7,
  propose: 8,
  read: 9,
  change: 10,
  transfer: 11,
} as const;
export type ActionKind = (typeof ACTION)[keyof typeof ACTION];

export interface Action {
  readonly kind: ActionKind;
  /** Position in NODE_IDS. */
  readonly node: number;
  /** Message number, pieces kept by a crash, position in the scenario's changes, or the node to transfer to. */
  readonly argument: number;
}

const NODE_UNIT = 16;
const ARGUMENT_UNIT = 64;

/** One word. */
export function encodeAction({ kind, node, argument }: Action): number {
  return kind + node * NODE_UNIT + argument * ARGUMENT_UNIT;
}

export function decodeAction(word: number): Action {
  const kind = (word % NODE_UNIT) as ActionKind;
  const node = Math.floor(word / NODE_UNIT) % (ARGUMENT_UNIT / NODE_UNIT);
  return { kind, node, argument: Math.floor(word / ARGUMENT_UNIT) };
}

export interface InputContext {
  readonly message: (number: number) => Message;
  /** Distinguishes proposals. */
  readonly proposalTag: number;
  /** Newest entry that is committed anywhere. */
  readonly floorIndex: number;
  readonly changes: readonly (readonly MembershipChange[])[];
}

export function inputOf(action: Action, context: InputContext): Input {
  const { kind, argument } = action;
  switch (kind) {
    case ACTION.deliver:
    case ACTION.deliverAgain:
      return { kind: "deliver", message: context.message(argument) };
    case ACTION.durable:
      return { kind: "durable" };
    case ACTION.crash:
      return { kind: "crash", kept: argument };
    case ACTION.campaign:
      return { kind: "campaign" };
    case ACTION.lapse:
      return { kind: "lapse" };
    case ACTION.beat:
      return { kind: "beat" };
    case ACTION.propose:
      return { kind: "propose", tag: context.proposalTag };
    case ACTION.read:
      return { kind: "read", floorIndex: context.floorIndex };
    case ACTION.change:
      return { kind: "change", changes: context.changes[argument] as readonly MembershipChange[] };
    case ACTION.transfer:
      return { kind: "transfer", to: NODE_IDS[argument] as NodeId };
  }
}
