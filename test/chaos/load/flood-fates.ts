/** What became of the blocks of a flood: what was acknowledged is there, what was refused is not. */

import { OP, PlanChunkReader } from "../../../src/protocol/index.ts";
import { payloadOf } from "../../../src/client/frames.ts";
import type { TestNode } from "../../support/cluster/index.ts";
import type { FaultContext } from "../faults/types.ts";
import { FATE } from "./flood.ts";
import { FLOOD_SHARDS, floodBlockId, floodListFrame, shardOf } from "./flood-blocks.ts";
import { NodeSession } from "./node-session.ts";

/** An answer has to fit into the credit of a session. */
const IDS_PER_REQUEST = { small: 300, large: 10 } as const;
const LANES = 4;
const TIMEOUT_MS = 10_000;
const SHOWN_MAX = 5;

export interface FloodFates {
  readonly firstSerial: number;
  /** By block, from the first serial number on. */
  readonly fates: Uint8Array;
  /** Blocks of tens of KiB. */
  readonly isLarge: boolean;
}

/**
 * Looks for every block, when nothing is under way any more, and tells the load of those that are there. Errors: rejects
 * when the node does not answer.
 */
export async function checkFates(
  { load, count, noteViolation }: FaultContext,
  node: TestNode,
  flood: FloodFates,
): Promise<void> {
  const { firstSerial, fates } = flood;
  const name = "chaos-flood-check";
  const session = new NodeSession({ endpoint: node.endpoint, name, dictionaryMaxBytes: 0 });
  let shown = 0;
  const report = (check: string, serial: number): void => {
    if (shown++ < SHOWN_MAX) noteViolation({ check, text: `block ${serial} of a flood` });
  };
  try {
    while (!session.isReady) await new Promise((resolve) => setTimeout(resolve, 10));
    const requests = requestsFor(flood);
    const lane = async (): Promise<void> => {
      for (const serials of requests) {
        const found = await look(session, serials);
        for (const serial of serials) {
          const id = floodBlockId(serial);
          const fate = fates[serial - firstSerial];
          if (found.has(id)) load.otherBlocks.add(id);
          if (found.has(id) && fate === FATE.refused) report("refused-applied", serial);
          if (!found.has(id) && fate === FATE.acked) report("lost", serial);
        }
        count("floodBlocksFound", found.size);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  } finally {
    session.close();
  }
}

/** Blocks of one shard each; reads are none. */
function* requestsFor({ firstSerial, fates, isLarge }: FloodFates): Generator<readonly number[]> {
  const idsPerRequest = isLarge ? IDS_PER_REQUEST.large : IDS_PER_REQUEST.small;
  const open: number[][] = Array.from({ length: FLOOD_SHARDS + 1 }, () => []);
  for (const [position, fate] of fates.entries()) {
    if (fate === FATE.answered) continue;
    const serial = firstSerial + position;
    const shard = shardOf(serial);
    const serials = open[shard] as number[];
    serials.push(serial);
    if (serials.length < idsPerRequest) continue;
    yield serials;
    open[shard] = [];
  }
  for (const serials of open) if (serials.length > 0) yield serials;
}

async function look(session: NodeSession, serials: readonly number[]): Promise<Set<string>> {
  const frame = floodListFrame(shardOf(serials[0] as number), serials);
  const answer = await session.ask(OP.get_block_metadata, frame, TIMEOUT_MS);
  if (!answer.ok) throw answer.error;
  const found = new Set<string>();
  for (const { bytes } of answer.frames) {
    const payload = payloadOf(bytes);
    if (payload.length === 0) continue;
    for (const { id } of new PlanChunkReader(payload)) found.add(id);
  }
  return found;
}
