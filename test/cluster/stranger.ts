/** Somebody with a bare socket, who speaks the protocol as far as it suits, and what the node says to that. */

import type { Socket } from "node:net";
import type { NodeIntroduction } from "../../src/cluster/index.ts";
import { decodeControl, encodeControl, FRAME } from "../../src/cluster/frames/frame.ts";
import { FrameReader } from "../../src/cluster/frames/frame-reader.ts";
import {
  decodeHello,
  decodeRefusal,
  encodeHello,
  type Hello,
} from "../../src/cluster/frames/hello.ts";
import { encodeMessage } from "../../src/raft/codec/index.ts";
import type { Message } from "../../src/raft/index.ts";
import { encodeMessageHead } from "../../src/cluster/frames/frame.ts";
import { untilTrue } from "../support/until.ts";
import { dial, introductionOf, type TestNode } from "./support.ts";

export interface Received {
  readonly kind: number;
  readonly frame: Uint8Array<ArrayBuffer>;
}

export class Stranger {
  readonly introduction: NodeIntroduction;
  readonly received: Received[] = [];
  isClosed = false;
  readonly #node: TestNode;
  readonly #socket: Socket;

  private constructor(node: TestNode, socket: Socket, introduction: NodeIntroduction) {
    this.#node = node;
    this.#socket = socket;
    this.introduction = introduction;
    const reader = new FrameReader(Number.MAX_SAFE_INTEGER, (kind, frame) =>
      this.received.push({ kind, frame }),
    );
    socket.on("data", (bytes) => reader.push(bytes));
    socket.on("close", () => {
      this.isClosed = true;
    });
  }

  static async dial(node: TestNode, more: Partial<NodeIntroduction> = {}): Promise<Stranger> {
    return new Stranger(node, await dial(node), introductionOf("stranger", more));
  }

  /** Dials and says a proper hello, changed as wished; resolves when the node has answered. */
  static async enter(
    node: TestNode,
    more: Partial<NodeIntroduction> = {},
    hello: Partial<Hello> = {},
  ): Promise<Stranger> {
    const stranger = await Stranger.dial(node, more);
    stranger.hello(hello);
    await untilTrue(() => stranger.received.length > 0 || stranger.isClosed);
    return stranger;
  }

  hello(more: Partial<Hello> = {}): void {
    const { introduction } = this;
    this.send(encodeHello({ introduction, target: this.#node.id, dial: 1, link: "peer", ...more }));
  }

  /** A hello whose JSON is as given. */
  rawHello(body: unknown, tag = 1 | (1 << 16)): void {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    this.send(encodeControl(FRAME.hello, { tag, body: new TextEncoder().encode(text) }));
  }

  send(pieces: readonly Uint8Array[]): void {
    this.#socket.write(Buffer.concat(pieces));
  }

  message(message: Message): void {
    const { pieces, totalBytes } = encodeMessage(message);
    this.send([encodeMessageHead(totalBytes), ...pieces]);
  }

  get hasEntered(): boolean {
    const first = this.received[0];
    if (first?.kind !== FRAME.hello) return false;
    const control = decodeControl(first.frame);
    return control !== null && decodeHello(control.tag, control.body) !== null;
  }

  /** The reason that the node gave before it closed; null: none. */
  get refusal(): { readonly reason: string; readonly text: string } | null {
    const refusal = this.received.find(({ kind }) => kind === FRAME.refuse);
    const control = refusal === undefined ? null : decodeControl(refusal.frame);
    return control === null ? null : decodeRefusal(control.body);
  }

  async closed(): Promise<void> {
    await untilTrue(() => this.isClosed);
  }

  leave(): void {
    this.#socket.destroy();
  }
}
