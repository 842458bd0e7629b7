/** AddBlock calls over gRPC with blocks that were never sent before, at the cost of writing an id. */

import { BlockReader, encodeBlockMetaProto, readBlockMeta } from "../../src/protocol/index.ts";
import { ulidAt } from "./block-fixture.ts";
import type { SegmentSource } from "./node-in-process.ts";
import { callFrames } from "./raw-http2.ts";

const ADD_PATH = "/metastore.v1.IndexService/AddBlock";
/** More than calls in flight: each is copied when it is sent. */
const TEMPLATES = 100;
/** Creation times of the source begin now and do not move. */
const ID_DISTANCE_MS = 60_000;

/** The frames of a call whose block has this id. */
interface Template {
  readonly frames: Buffer;
  readonly idOffset: number;
}

export class AddBlockCalls {
  readonly #templates: readonly Template[];
  readonly #createdAtMs = Date.now() - ID_DISTANCE_MS;
  #serial = 0;

  /** Takes the shape of its blocks from the source; ids of the two differ. */
  constructor(source: SegmentSource) {
    const reader = new BlockReader();
    this.#templates = Array.from({ length: TEMPLATES }, () => {
      const block = readBlockMeta(reader.reset(source.nextBlock()));
      const frames = callFrames(ADD_PATH, inField1(encodeBlockMetaProto(block)));
      return { frames, idOffset: frames.indexOf(block.id, 0, "latin1") };
    });
  }

  /** The frames of the next call: valid until as many more were asked for as there are templates. */
  next(): Buffer {
    const serial = this.#serial++;
    const { frames, idOffset } = this.#templates[serial % TEMPLATES] as Template;
    frames.write(ulidAt(this.#createdAtMs, serial), idOffset, "latin1");
    return frames;
  }
}

/** The message as field 1 of the one around it. */
function inField1(message: Uint8Array): Uint8Array {
  const length: number[] = [];
  for (let rest = message.length; ; rest >>>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest < 128) break;
  }
  return Buffer.concat([Buffer.from([0x0a, ...length]), message]);
}
