/** Lanes over our own protocol, and blocks of a given size for them. */

import { ByteSink, encodeBlock, encodeBlockListRequest, OP } from "../../../src/protocol/index.ts";
import type { TestNode } from "../../../test/support/cluster/index.ts";
import { makeBlock, serviceNames, ulidAt } from "../block-fixture.ts";
import type { RawWebSocket } from "../raw-websocket.ts";
import { isLastFrame, openSession, requestFrame } from "../served-node.ts";
import type { Lane } from "./lane.ts";

const CREATED_AT_MS = 1_760_000_000_000;
const TENANT = "bench";
const SHARD = 1;
/** Blocks of a lane; more than a run writes. */
const LANE_BLOCKS = 1 << 22;

/** The wire form of a block of at least `wantedBytes`, a few more at most; always the same for a serial number. */
export function blockBytes(serial: number, wantedBytes: number): Uint8Array {
  const encode = (services: readonly string[]): Uint8Array => {
    const block = makeBlock({
      createdAtMs: CREATED_AT_MS,
      serial,
      owner: TENANT,
      datasetTenant: TENANT,
      shard: SHARD,
      services,
      minTimeMs: CREATED_AT_MS,
      maxTimeMs: CREATED_AT_MS + 15_000,
    });
    const sink = new ByteSink();
    encodeBlock(block, sink);
    return Uint8Array.from(sink.view());
  };
  let count = 1;
  while (encode(serviceNames(count + 1)).length <= wantedBytes) count += 1;
  const names = serviceNames(count);
  const missingBytes = Math.max(0, wantedBytes - encode(names).length);
  // A name stands in a block once, whatever refers to it.
  return encode(
    names.map((name, i) => (i === 0 ? name.padEnd(name.length + missingBytes, "x") : name)),
  );
}

/** Adds blocks of that size, each with an id of its own. */
export async function addBlockLane(
  node: TestNode,
  lane: number,
  wantedBytes: number,
): Promise<Lane> {
  const socket = await openSession(node.ports.websocket);
  const frame = requestFrame(OP.add_block, 2, blockBytes(0, wantedBytes));
  const serialOffset = differsAt(frame, requestFrame(OP.add_block, 2, blockBytes(1, wantedBytes)));
  const view = new DataView(frame.buffer, frame.byteOffset);
  let serial = lane * LANE_BLOCKS;
  return {
    send(done) {
      // Only the id differs from block to block; the serial number ends it.
      view.setUint32(serialOffset, serial++);
      exchange(socket, frame, done);
    },
    close: () => socket.close(),
  };
}

/** Where the last byte of the id stands, minus three: the place of its big-endian serial number. */
function differsAt(a: Uint8Array, b: Uint8Array): number {
  const places: number[] = [];
  a.forEach((byte, i) => {
    if (byte !== b[i]) places.push(i);
  });
  if (places.length !== 1)
    throw new Error(`Two blocks differ at ${places.length} places, not at 1`);
  return (places[0] as number) - 3;
}

export interface BlockReads {
  readonly blockCount: number;
  /** A shorter answer does not hold the block. */
  readonly blockMinBytes: number;
  readonly consistency: "strong" | "local";
}

/** Point reads of one block after the other, of those that lane 0 has written first. */
export async function blockReadLane(
  node: TestNode,
  lane: number,
  { blockCount, blockMinBytes, consistency }: BlockReads,
): Promise<Lane> {
  // The whole block in every answer, as the other side sends its whole value.
  const socket = await openSession(node.ports.websocket, { dictionaryMaxBytes: 0 });
  const frames = Array.from({ length: blockCount }, (_, serial) => {
    const sink = new ByteSink();
    const blocks = [ulidAt(CREATED_AT_MS, serial)];
    encodeBlockListRequest(sink, { tenant: TENANT, shard: SHARD, blocks, consistency });
    return requestFrame(OP.get_block_metadata, 2, sink.view());
  });
  let serial = lane;
  return {
    send(done) {
      exchange(socket, frames[serial++ % blockCount] as Uint8Array, done, blockMinBytes);
    },
    close: () => socket.close(),
  };
}

function exchange(
  socket: RawWebSocket,
  frame: Uint8Array,
  done: () => void,
  answerMinBytes = 0,
): void {
  let bytes = 0;
  socket.onMessage = (buffer, start, end) => {
    bytes += end - start;
    if (!isLastFrame(buffer, start)) return;
    if (bytes < answerMinBytes) throw new Error(`An answer of ${bytes} bytes holds no block`);
    done();
  };
  socket.write(frame);
}
