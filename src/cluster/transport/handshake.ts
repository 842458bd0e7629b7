/** The first frame of a connection, within its time: a hello that may be believed, or the end. */

import type { Scheduler } from "../../base/index.ts";
import type { Problem } from "../errors.ts";
import { decodeControl, FRAME, isFrameFault } from "../frames/frame.ts";
import {
  decodeHello,
  decodeRefusal,
  encodeRefusal,
  type Hello,
  versionsOf,
} from "../frames/hello.ts";
import type { Channel, ChannelOwner } from "./channel.ts";
import { judgeVersions, type PeerRefusal } from "./judge.ts";

export type HandshakeResult =
  /** Whoever gets it hands the channel over or ends it before it returns. */
  | { readonly ok: true; readonly hello: Hello }
  /** The channel has ended. `refusal`: this side found something wrong; null: the peer or the network did. */
  | { readonly ok: false; readonly problem: Problem; readonly refusal: PeerRefusal | null };

export class Handshake implements ChannelOwner {
  readonly #judge: (hello: Hello) => PeerRefusal | null;
  readonly #done: (result: HandshakeResult, channel: Channel) => void;
  readonly #cancelTimer: () => void;
  #channel: Channel | null = null;
  #isDone = false;

  constructor(
    options: { readonly timeoutMs: number },
    modules: {
      readonly scheduler: Scheduler;
      readonly judge: (hello: Hello) => PeerRefusal | null;
    },
    done: (result: HandshakeResult, channel: Channel) => void,
  ) {
    const { timeoutMs } = options;
    this.#judge = modules.judge;
    this.#done = done;
    this.#cancelTimer = modules.scheduler.after(timeoutMs, () => {
      const text = `connection is open, but no hello arrives within ${timeoutMs} ms`;
      this.#refuse({ reason: "handshake_timeout", text });
    });
  }

  /** The channel that this handshake owns; before its first byte arrives. */
  begin(channel: Channel): void {
    this.#channel = channel;
  }

  cancel(problem: Problem): void {
    if (this.#isDone) return;
    this.#finish();
    this.#channel?.end(problem);
  }

  onFrame(kind: number, frame: Uint8Array<ArrayBuffer>): void {
    if (this.#isDone) return;
    if (kind === FRAME.hello) this.#onHello(frame);
    else if (kind === FRAME.refuse) this.#onRefused(frame);
    else this.#refuse({ reason: "unexpected_frame", text: `frame ${kind} came before a hello` });
  }

  onEnd(problem: Problem): void {
    if (this.#isDone) return;
    this.#finish();
    // What the channel itself found wrong with the bytes is a refusal, too.
    const { reason, text } = problem;
    const refusal = isFrameFault(reason) ? { reason, text } : null;
    this.#done({ ok: false, problem, refusal }, this.#channel as Channel);
  }

  #onHello(frame: Uint8Array<ArrayBuffer>): void {
    const control = decodeControl(frame);
    if (control === null) {
      this.#refuse({ reason: "bad_frame", text: "the hello arrived damaged" });
      return;
    }
    const { versionMin, versionMax } = versionsOf(control.tag);
    const versionRefusal = judgeVersions(versionMin, versionMax);
    const hello = versionRefusal === null ? decodeHello(control.tag, control.body) : null;
    if (hello === null) {
      this.#refuse(versionRefusal ?? { reason: "bad_hello", text: "the hello makes no sense" });
      return;
    }
    const refusal = this.#judge(hello);
    if (refusal !== null) {
      this.#refuse(refusal);
      return;
    }
    this.#finish();
    this.#done({ ok: true, hello }, this.#channel as Channel);
  }

  #onRefused(frame: Uint8Array<ArrayBuffer>): void {
    const control = decodeControl(frame);
    const refusal = control === null ? null : decodeRefusal(control.body);
    if (refusal === null) {
      this.#refuse({ reason: "bad_frame", text: "a refusal arrived damaged" });
      return;
    }
    this.#finish();
    const problem = { reason: refusal.reason, text: `refused by the peer: ${refusal.text}` };
    const channel = this.#channel as Channel;
    channel.end(problem);
    this.#done({ ok: false, problem, refusal: null }, channel);
  }

  #refuse(refusal: PeerRefusal): void {
    this.#finish();
    const channel = this.#channel as Channel;
    channel.send(encodeRefusal(refusal));
    channel.endWithLastWords(refusal);
    this.#done({ ok: false, problem: refusal, refusal }, channel);
  }

  #finish(): void {
    this.#isDone = true;
    this.#cancelTimer();
  }
}
