/** AddBlock requests over the binary protocol with blocks that were never sent before, at the cost of writing an id. */

import { OP } from "../../src/protocol/index.ts";
import type { SegmentSource } from "./node-in-process.ts";
import { buildFrame, type FrameSource } from "./raw-websocket.ts";
import { requestPayload } from "./served-node.ts";

/** More than one connection has in flight. */
const TEMPLATES = 1_024;
/** 1 was the Hello of the connection. */
const FIRST_REQUEST_ID = 2;
const REQUEST_ID_OFFSET = 4;

interface Template {
  readonly frame: Uint8Array;
  readonly view: DataView;
  /** Where the request begins, and its block. */
  readonly requestOffset: number;
  readonly blockOffset: number;
}

/** The requests of one connection. */
export class AddBlockFrames implements FrameSource {
  readonly #source: SegmentSource;
  readonly #templates: readonly Template[];
  #count = 0;

  constructor(source: SegmentSource) {
    this.#source = source;
    this.#templates = Array.from({ length: TEMPLATES }, () => {
      const block = source.nextBlock();
      const payload = requestPayload(OP.add_block, FIRST_REQUEST_ID, block);
      const frame = buildFrame(payload);
      return {
        frame,
        view: new DataView(frame.buffer),
        requestOffset: frame.length - payload.length,
        blockOffset: frame.length - block.length,
      };
    });
  }

  get frameBytes(): number {
    return (this.#templates[0] as Template).frame.length;
  }

  next(): Uint8Array {
    const count = this.#count++;
    const template = this.#templates[count % TEMPLATES] as Template;
    const { frame, view, requestOffset, blockOffset } = template;
    view.setUint32(requestOffset + REQUEST_ID_OFFSET, FIRST_REQUEST_ID + count, true);
    this.#source.renew(frame, blockOffset);
    return frame;
  }
}
