/** What every node holds in the end, against the history and against each other. */

import { OP } from "../../../src/protocol/index.ts";
import type { TestNode } from "../../support/cluster/index.ts";
import { describeWrite, type History, OUTCOME, type Violation } from "../history.ts";
import { blockListFrame, queryFrame } from "../load/keyspace.ts";
import { readAnswer } from "../load/load.ts";
import { NodeSession } from "../load/node-session.ts";

/** What one node answered: elements by key. */
export interface FinalState {
  readonly serverId: string;
  readonly seen: readonly number[];
  /** Blocks that the node's own counter says it has; null: it did not say. */
  readonly blocks: number | null;
}

const TIMEOUT_MS = 10_000;
const TRIES_MAX = 20;
const RETRY_PAUSE_MS = 250;
const LANES = 8;

/** Reads every key by strong reads, by ids and by a query. Errors: rejects when the node does not answer. */
export async function readFinalState(node: TestNode, keyCount: number): Promise<FinalState> {
  const session = new NodeSession({
    endpoint: node.endpoint,
    name: "chaos-final",
    dictionaryMaxBytes: 0,
  });
  const seen = new Array<number>(keyCount).fill(0);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let key = next++; key < keyCount; key = next++) {
      const byIds = await ask(session, OP.get_block_metadata, blockListFrame(key), key);
      const byQuery = await ask(session, OP.query_metadata, queryFrame(key), key);
      if (byIds !== byQuery) {
        throw new Error(`${node.serverId}: key ${key} by ids ${byIds}, by query ${byQuery}`);
      }
      seen[key] = byIds;
    }
  };
  try {
    await Promise.all(Array.from({ length: LANES }, lane));
    const blocks = (await node.status())?.index?.blocks ?? null;
    return { serverId: node.serverId, seen, blocks };
  } finally {
    session.close();
  }
}

async function ask(
  session: NodeSession,
  opcode: number,
  frame: Uint8Array,
  key: number,
): Promise<number> {
  for (let tries = 1; ; tries++) {
    const answer = await session.ask(opcode, frame, TIMEOUT_MS);
    if (answer.ok) return readAnswer(answer, key).seen;
    if (tries === TRIES_MAX) throw answer.error;
    await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
  }
}

/** `otherBlocks`: how many blocks there are beside the elements of the history. */
export function checkFinalStates(
  states: readonly FinalState[],
  { writes }: History,
  otherBlocks = 0,
): readonly Violation[] {
  const violations: Violation[] = [];
  const report = (check: string, text: string): void => {
    violations.push({ check, text });
  };
  const [first] = states;
  for (const { serverId, seen, blocks } of states) {
    const total = seen.reduce((sum, elements) => sum + bitCount(elements), otherBlocks);
    if (blocks !== null && blocks !== total) {
      report("counts", `${serverId} counts ${blocks} blocks and shows ${total}`);
    }
    seen.forEach((elements, key) => {
      const expected = first?.seen[key];
      if (elements === expected) return;
      const text = `key ${key}: ${expected} on ${first?.serverId}, ${elements} on ${serverId}`;
      report("diverged", text);
    });
    for (const write of writes) {
      const isSeen = ((seen[write.key] ?? 0) & (1 << write.element)) !== 0;
      if (write.outcome === OUTCOME.acked && !isSeen)
        report("lost", `on ${serverId}: ${describeWrite(write)}`);
      if (write.outcome === OUTCOME.refused && isSeen)
        report("refused-applied", `on ${serverId}: ${describeWrite(write)}`);
    }
  }
  return violations;
}

function bitCount(elements: number): number {
  let count = 0;
  for (let rest = elements; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}
