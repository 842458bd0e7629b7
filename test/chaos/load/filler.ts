/**
 * Makes the state large: blocks of many datasets, added until so many bytes of them are acknowledged. They are of a tenant
 * that no other client uses, and their ids belong to no key.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { encodeUlid } from "../../../src/base/index.ts";
import { buildFrame, payloadOf } from "../../../src/client/frames.ts";
import {
  type BlockMeta,
  encodeBlock,
  encodeQueryRequest,
  OP,
} from "../../../src/protocol/index.ts";
import type { TestNode } from "../../support/cluster/index.ts";
import { NodeSession } from "./node-session.ts";

const TENANT = "filler";
/** Enough that bytes are what costs, not entries. */
const DATASETS = 200;
const SHARDS = 16;
const CREATED_FROM_MS = 1_750_000_000_000;
/** Before the keys of the other clients begin (keyspace.ts): room for a hundred thousand blocks. */
const CREATED_UNTIL_MS = 1_759_000_000_000;
/** A day of blocks in a thousand of them: several partitions, as a state of that size would have. */
const BLOCK_SPACING_MS = 86_400;
const LANES = 6;
const TIMEOUT_MS = 10_000;
const PAUSE_MS = 100;
/** In a row, of one block. */
const TRIES_MAX = 600;

export interface Filling {
  readonly blocks: number;
  readonly bytes: number;
}

/** `onAdded` is told the id of every block that was acknowledged. Errors: rejects when one is not, try after try. */
export async function fill(
  nodes: readonly TestNode[],
  wantedBytes: number,
  onAdded: (id: string) => void,
): Promise<Filling> {
  const sessions = nodes.map(
    ({ endpoint }) => new NodeSession({ endpoint, name: "chaos-filler", dictionaryMaxBytes: 0 }),
  );
  let [serial, blocks, bytes] = [0, 0, 0];
  const lane = async (): Promise<void> => {
    while (bytes < wantedBytes) {
      const block = blockOf(serial++);
      const frame = buildFrame((sink) => encodeBlock(block, sink));
      await addUntilAcked(sessions, serial, frame);
      onAdded(block.id);
      blocks += 1;
      bytes += payloadOf(frame).length;
    }
  };
  try {
    await Promise.all(Array.from({ length: LANES }, lane));
  } finally {
    for (const session of sessions) session.close();
  }
  return { blocks, bytes };
}

/** Asks for all of it, of whatever state the node has. */
export function fillerQueryFrame(): Uint8Array {
  return buildFrame((sink) =>
    encodeQueryRequest(sink, {
      tenants: [TENANT],
      startMs: CREATED_FROM_MS,
      endMs: CREATED_UNTIL_MS,
      selector: "{}",
      labels: [],
      consistency: "strong",
      maxStalenessMs: 0,
    }),
  );
}

/** The same block again does no harm: it is known by its id. */
async function addUntilAcked(
  sessions: readonly NodeSession[],
  serial: number,
  frame: Uint8Array,
): Promise<void> {
  for (let tries = 0; ; tries++) {
    const session = sessions[(serial + tries) % sessions.length] as NodeSession;
    const answer = await session.ask(OP.add_block, frame, TIMEOUT_MS);
    if (answer.ok) return;
    if (tries === TRIES_MAX) throw answer.error;
    await sleep(PAUSE_MS);
  }
}

function blockOf(serial: number): BlockMeta {
  const minTimeMs = CREATED_FROM_MS + serial * BLOCK_SPACING_MS;
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, Math.floor(minTimeMs / 0x1_0000_0000));
  view.setUint32(2, minTimeMs >>> 0);
  view.setUint32(12, serial);
  const names = Array.from({ length: DATASETS }, (_, i) => `service-${i}`);
  const maxTimeMs = minTimeMs + BLOCK_SPACING_MS / 2;
  return {
    formatVersion: 1,
    id: encodeUlid(bytes, 0),
    tenant: 1,
    shard: 1 + (serial % SHARDS),
    compactionLevel: 1,
    minTimeMs,
    maxTimeMs,
    createdBy: 0,
    sizeBytes: 1_000_000n,
    metadataOffset: 0n,
    stringTable: ["", TENANT, "service_name", ...names],
    datasets: names.map((_, i) => ({
      tenant: 1,
      name: 3 + i,
      minTimeMs,
      maxTimeMs,
      tableOfContents: [BigInt(i), BigInt(i + 1), BigInt(i + 2)],
      sizeBytes: 5_000n,
      labels: [1, 2, 3 + i],
      format: 0,
    })),
  };
}
