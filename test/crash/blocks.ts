/** Numbered blocks: the number is the id, so that acknowledgements are numbers and nothing has to be remembered. */

import { encodeUlid } from "../../src/base/index.ts";
import {
  appendAddBlockEntry,
  type BlockMeta,
  ByteSink,
  encodeBlock,
} from "../../src/protocol/index.ts";

const CREATED_AT_MS = 1_760_000_000_000;
export const SHARD = 7;
/** Most blocks that one run writes, a little over included. Many times as many would only make replays longer. */
export const BLOCKS_PER_RUN = 5000;

export function blockId(number: number): string {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, Math.floor(CREATED_AT_MS / 0x1_0000_0000));
  view.setUint32(2, CREATED_AT_MS >>> 0);
  view.setUint32(12, number);
  return encodeUlid(bytes, 0);
}

function blockOf(number: number): BlockMeta {
  const minTimeMs = CREATED_AT_MS + number;
  const maxTimeMs = minTimeMs + 15_000;
  return {
    formatVersion: 1,
    id: blockId(number),
    tenant: 0,
    shard: SHARD,
    compactionLevel: 0,
    minTimeMs,
    maxTimeMs,
    createdBy: 0,
    sizeBytes: BigInt(number),
    metadataOffset: 0n,
    stringTable: ["", "acme", `service-${number % 50}`, "service_name"],
    datasets: [
      {
        tenant: 1,
        name: 2,
        minTimeMs,
        maxTimeMs,
        tableOfContents: [1n, 2n, 3n],
        sizeBytes: 1000n,
        labels: [1, 3, 2],
        format: 0,
      },
    ],
  };
}

const blockSink = new ByteSink();

/** Log entries that add blocks first..first + count - 1, one entry each, owned by the caller. */
export function addBlocksBody(first: number, count: number): Uint8Array {
  const sink = new ByteSink();
  for (let i = 0; i < count; i++) {
    blockSink.reset();
    const bytes = encodeBlock(blockOf(first + i), blockSink);
    appendAddBlockEntry(sink, blockSink.u8, 0, bytes);
  }
  const body = new Uint8Array(sink.length);
  body.set(sink.u8.subarray(0, sink.length));
  return body;
}
