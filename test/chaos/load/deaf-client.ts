/**
 * A client that asks for large answers again and again and reads nothing of them, until it is told to. What then arrives must
 * be whole answers, typed refusals, or the end of the connection: an answer that ends well has everything in it.
 */

import { payloadOf, writeRequestHeader } from "../../../src/client/frames.ts";
import {
  createFrameHeader,
  FLAG,
  OP,
  PlanChunkReader,
  readFrameHeader,
} from "../../../src/protocol/index.ts";
import type { TestNode } from "../../support/cluster/index.ts";
import { fillerQueryFrame } from "./filler.ts";
import { FIRST_REQUEST_ID, messageOf, RawConnection } from "./raw-connection.ts";

const ASK_MS = 250;
/** The server may take as long as it wants: what is in the way is this client. */
const TIMEOUT_MS = 60_000;
/** Between two frames, once it reads. */
const SILENCE_MS = 1_500;
const READ_LIMIT_MS = 30_000;
const POLL_MS = 20;

export interface DeafReport {
  readonly asked: number;
  /** Answers that came whole. */
  readonly complete: number;
  /** Requests that were refused, or not answered to the end: the server kept no more for this client. */
  readonly heldBack: number;
  /** Answers that ended well and were not whole, in words. */
  readonly gaps: readonly string[];
}

export class DeafClient {
  readonly #connection: RawConnection;
  readonly #blocksWanted: number;
  readonly #timer: NodeJS.Timeout;
  /** Blocks by request. */
  readonly #blocks = new Map<number, number>();
  readonly #header = createFrameHeader();
  readonly #gaps: string[] = [];
  #asked = 0;
  #complete = 0;
  #lastFrameAtMs = 0;

  private constructor(connection: RawConnection, blocksWanted: number) {
    this.#connection = connection;
    this.#blocksWanted = blocksWanted;
    connection.onFrame = (frame) => this.#onFrame(frame);
    connection.goDeaf();
    this.#timer = setInterval(() => this.#ask(), ASK_MS);
  }

  /** `blocksWanted`: how many an answer has. */
  static async open({ ports }: TestNode, blocksWanted: number): Promise<DeafClient> {
    return new DeafClient(await RawConnection.open(ports.websocket, "chaos-deaf"), blocksWanted);
  }

  /** Asks no more and reads what there is. */
  async end(): Promise<DeafReport> {
    clearInterval(this.#timer);
    this.#connection.hearAgain();
    const beganAtMs = performance.now();
    this.#lastFrameAtMs = beganAtMs;
    for (let nowMs = beganAtMs; this.#blocks.size > 0; nowMs = performance.now()) {
      if (this.#connection.closedBy !== null) break;
      if (nowMs - this.#lastFrameAtMs > SILENCE_MS || nowMs - beganAtMs > READ_LIMIT_MS) break;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    this.#connection.close();
    const [asked, complete] = [this.#asked, this.#complete];
    return { asked, complete, heldBack: asked - complete, gaps: this.#gaps };
  }

  #ask(): void {
    const frame = fillerQueryFrame();
    const requestId = FIRST_REQUEST_ID + this.#asked++;
    this.#blocks.set(requestId, 0);
    const opcode = OP.query_metadata;
    writeRequestHeader(frame, { opcode, requestId, timeoutMs: TIMEOUT_MS, aux: 0 });
    this.#connection.write(messageOf(frame));
  }

  #onFrame(frame: Uint8Array): void {
    this.#lastFrameAtMs = performance.now();
    const header = this.#header;
    readFrameHeader(frame, header);
    const { requestId, flags } = header;
    const isRefusal = (flags & FLAG.error) !== 0;
    // Copied: the bytes stand anywhere in what arrived.
    const count = isRefusal ? 0 : new PlanChunkReader(new Uint8Array(payloadOf(frame))).blockCount;
    const blocks = (this.#blocks.get(requestId) ?? 0) + count;
    this.#blocks.set(requestId, blocks);
    if ((flags & FLAG.last) === 0) return;
    this.#blocks.delete(requestId);
    if (isRefusal) return;
    this.#complete += 1;
    if (blocks === this.#blocksWanted) return;
    this.#gaps.push(`an answer of ${this.#blocksWanted} blocks ended well with ${blocks} of them`);
  }
}
