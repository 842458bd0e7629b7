/** A path through the states, for people. */

import { type Batch, MESSAGE, type Message, type NodeId } from "../../src/raft/index.ts";
import { ACTION, type Action } from "./actions.ts";
import type { MemberState } from "./member-state.ts";
import { NODE_IDS, nameOf } from "./nodes.ts";

const MESSAGE_NAMES = new Map<number, string>(
  Object.entries(MESSAGE).map(([name, kind]) => [kind, name]),
);

/** One line per action. */
export function describeAction(action: Action, messageOf: (number: number) => Message): string {
  const { kind, node, argument } = action;
  const name = nameOf(NODE_IDS[node] as NodeId);
  switch (kind) {
    case ACTION.deliver:
      return describeMessage(messageOf(argument));
    case ACTION.deliverAgain:
      return `${describeMessage(messageOf(argument))}, and it will come once more`;
    case ACTION.durable:
      return `${name}: its oldest write is durable`;
    case ACTION.crash:
      return `${name} crashes and starts again; ${argument} of its unfinished writes are on the disk`;
    case ACTION.campaign:
      return `${name} campaigns`;
    case ACTION.lapse:
      return `${name} hears nothing for an election timeout`;
    case ACTION.beat:
      return `${name} sends heartbeats`;
    case ACTION.propose:
      return `${name} appends a proposal`;
    case ACTION.read:
      return `${name} is asked for a read`;
    case ACTION.change:
      return `${name} proposes change of members ${argument}`;
    case ACTION.transfer:
      return `${name} hands over to ${nameOf(NODE_IDS[argument] as NodeId)}`;
  }
}

function describeMessage(message: Message): string {
  const { kind, from, to, term, ...rest } = message;
  const fields = Object.entries(rest).map(([key, value]) => {
    if (key === "batches") return (value as readonly Batch[]).map(describeBatch).join(" ");
    return `${key} ${String(value)}`;
  });
  const head = `${nameOf(from)} -> ${nameOf(to)}  ${MESSAGE_NAMES.get(kind)} of term ${term}`;
  return [head, ...fields.filter((field) => field !== "")].join(", ");
}

function describeBatch({ firstIndex, term, kind }: Batch): string {
  return `[${firstIndex}: term ${term}${kind === 2 ? ", members" : ""}]`;
}

/** `A leader t2 vote A log 1.2.2 durable 2 commit 1`. */
export function describeMember({ core, works }: MemberState): string {
  const { role, term, vote, log, commitIndex, leading } = core;
  const terms: number[] = [];
  for (let index = log.firstIndex; index <= log.lastIndex; index++) {
    terms.push(log.spans.findLast((span) => span.firstIndex <= index)?.term ?? 0);
  }
  const { voters, votersOutgoing } = log.memberships.at(-1)?.membership ?? {
    voters: [],
    votersOutgoing: [],
  };
  const names = [voters, votersOutgoing].map((ids) => ids.map(nameOf).join("")).join("/");
  const peers = [...(leading?.peers.values() ?? [])].map(
    ({ id, matchIndex, nextIndex }) => `${nameOf(id)}:${matchIndex}<${nextIndex}`,
  );
  const parts = [
    `${nameOf(core.options.nodeId)} ${role} t${term} vote ${nameOf(vote)}`,
    `log ${terms.join(".")} durable ${log.durableIndex} commit ${commitIndex} voters ${names}`,
    `${works.length} writes`,
    ...(peers.length > 0 ? [peers.join(" ")] : []),
  ];
  return parts.join(", ");
}
