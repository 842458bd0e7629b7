/** The blocks of a flood: as many as wanted, each told by its serial number, made at the cost of writing an id. */

import { encodeUlid } from "../../../src/base/index.ts";
import { buildFrame, writeRequestHeader } from "../../../src/client/frames.ts";
import {
  type BlockMeta,
  encodeBlock,
  encodeBlockListRequest,
  FRAME_HEADER_BYTES,
  OP,
} from "../../../src/protocol/index.ts";
import { messageOf } from "./raw-connection.ts";

export const FLOOD_TENANT = "flood";
export const FLOOD_SHARDS = 16;
/** Before all keys of the other clients (keyspace.ts): no id is one of theirs. */
const CREATED_AT_MS = 1_740_000_000_000;
const SPAN_MS = 15_000;
/** In a stored block, behind its prelude; the last four bytes of an id are the serial number. */
const BLOCK_SERIAL_OFFSET = 24 + 12;
const REQUEST_ID_OFFSET = 4;

export function floodBlockId(serial: number): string {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, Math.floor(CREATED_AT_MS / 0x1_0000_0000));
  view.setUint32(2, CREATED_AT_MS >>> 0);
  view.setUint32(12, serial);
  return encodeUlid(bytes, 0);
}

export function shardOf(serial: number): number {
  return 1 + (serial % FLOOD_SHARDS);
}

function blockOf(serial: number, datasetsCount: number): BlockMeta {
  const names = Array.from({ length: datasetsCount }, (_, i) => `service-${i}`);
  const times = { minTimeMs: CREATED_AT_MS, maxTimeMs: CREATED_AT_MS + SPAN_MS };
  return {
    formatVersion: 1,
    id: floodBlockId(serial),
    tenant: 1,
    shard: shardOf(serial),
    compactionLevel: 1,
    ...times,
    createdBy: 0,
    sizeBytes: 1_000_000n,
    metadataOffset: 0n,
    stringTable: ["", FLOOD_TENANT, "service_name", ...names],
    datasets: names.map((_, i) => ({
      tenant: 1,
      name: 3 + i,
      ...times,
      tableOfContents: [BigInt(i), BigInt(i + 1), BigInt(i + 2)],
      sizeBytes: 5_000n,
      labels: [1, 2, 3 + i],
      format: 0,
    })),
  };
}

/** Messages that add blocks, by serial number. */
export class BlockMessages {
  readonly #templates: readonly Buffer[];
  readonly #frameOffset: number;
  readonly messageBytes: number;

  /** `timeoutMs` is what the server is given for each. */
  constructor(datasetsCount: number, timeoutMs: number) {
    const templates = Array.from({ length: FLOOD_SHARDS }, (_, shard) => {
      const frame = buildFrame((sink) => encodeBlock(blockOf(shard, datasetsCount), sink));
      writeRequestHeader(frame, { opcode: OP.add_block, requestId: 0, timeoutMs, aux: 0 });
      return { frame, message: messageOf(frame) };
    });
    this.#templates = templates.map(({ message }) => message);
    const [{ frame, message }] = templates as [(typeof templates)[number]];
    this.messageBytes = message.length;
    this.#frameOffset = message.length - frame.length;
  }

  /** Writes the message for that block at `into[offset]`. */
  write(
    into: Buffer,
    offset: number,
    { serial, requestId }: { serial: number; requestId: number },
  ): void {
    (this.#templates[serial % FLOOD_SHARDS] as Buffer).copy(into, offset);
    const frame = offset + this.#frameOffset;
    into.writeUInt32LE(requestId, frame + REQUEST_ID_OFFSET);
    into.writeUInt32BE(serial, frame + FRAME_HEADER_BYTES + BLOCK_SERIAL_OFFSET);
  }
}

/** Asks which of these blocks, all of one shard, there are. */
export function floodListFrame(shard: number, serials: readonly number[]): Uint8Array {
  const blocks = serials.map(floodBlockId);
  return buildFrame((sink) =>
    encodeBlockListRequest(sink, { tenant: FLOOD_TENANT, shard, blocks, consistency: "strong" }),
  );
}
