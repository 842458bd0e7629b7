/** The process of a flood (flood.ts): takes one plan, sends, waits until all is answered, reports, ends. */

import { payloadOf, writeRequestHeader } from "../../../src/client/frames.ts";
import {
  createFrameHeader,
  decodeErrorReply,
  FLAG,
  OP,
  readFrameHeader,
} from "../../../src/protocol/index.ts";
import { OUTCOME } from "../history.ts";
import {
  FATE,
  type FloodMessage,
  type FloodPlan,
  type FloodReport,
  type FloodStream,
} from "./flood.ts";
import { BlockMessages } from "./flood-blocks.ts";
import { blockListFrame } from "./keyspace.ts";
import { outcomeOf } from "./outcomes.ts";
import { FIRST_REQUEST_ID, messageOf, RawConnection } from "./raw-connection.ts";

const TURN_MS = 10;
/** A connection whose server takes no more is passed over: the flood is to fill the server's memory, not its own. */
const WAITING_MAX_BYTES = 512 * 1024;
/** Behind the time limit of the last request. */
const ANSWERS_LIMIT_MS = 60_000;
const POLL_MS = 20;
const REQUEST_ID_OFFSET = 4;

/** Writes one message for request and block of that number. */
interface Messages {
  readonly messageBytes: number;
  write(into: Buffer, offset: number, numbers: { serial: number; requestId: number }): void;
}

class Flood {
  readonly #plan: FloodPlan;
  /** By request, in the order in which they were sent, over all streams. */
  readonly #fates: Uint8Array;
  readonly #sentAtMs: Float64Array;
  readonly #failures = new Map<string, number>();
  readonly #ackedMs: number[] = [];
  readonly #failedMs: number[] = [];
  readonly #connections: RawConnection[] = [];
  readonly #header = createFrameHeader();
  #sent = 0;
  #answered = 0;
  #heldBack = 0;

  constructor(plan: FloodPlan) {
    this.#plan = plan;
    const perSec = plan.streams.reduce((sum, stream) => sum + stream.perSec, 0);
    const requestsMax = Math.ceil((perSec * plan.durationMs) / 1_000);
    this.#fates = new Uint8Array(requestsMax);
    this.#sentAtMs = new Float64Array(requestsMax);
  }

  async run(): Promise<FloodReport> {
    const { streams, durationMs } = this.#plan;
    const senders = await Promise.all(streams.map((stream) => this.#open(stream)));
    const startedAtMs = performance.now();
    for (let elapsedMs = 0; elapsedMs < durationMs; ) {
      await pause(TURN_MS);
      elapsedMs = Math.min(durationMs, performance.now() - startedAtMs);
      for (const send of senders) send(elapsedMs);
    }
    void tell("sent");
    const closedEarly = this.#closed();
    await this.#untilAnswered();
    const closed = closedEarly.length > 0 ? closedEarly : this.#closed();
    for (const connection of this.#connections) connection.close();
    return this.#report(closed);
  }

  /** Resolves with what sends all that is due by that time. */
  async #open({
    port,
    kind,
    connections,
    perSec,
  }: FloodStream): Promise<(elapsedMs: number) => void> {
    const messages =
      kind === "reads"
        ? readMessages(this.#plan.timeoutMs)
        : new BlockMessages(kind.datasets, this.#plan.timeoutMs);
    const opened = await Promise.all(
      Array.from({ length: connections }, () => RawConnection.open(port, "chaos-flood")),
    );
    for (const connection of opened) connection.onFrame = (frame) => this.#onFrame(frame);
    this.#connections.push(...opened);
    let due = 0;
    let next = 0;
    return (elapsedMs) => {
      const count = Math.floor((perSec * elapsedMs) / 1_000) - due;
      due += count;
      // In few pieces: a call per request would make this process the bottleneck.
      const pieces = Math.min(connections, Math.max(1, Math.ceil(count / 32)));
      for (let piece = 0; piece < pieces; piece++) {
        const share =
          Math.floor(((piece + 1) * count) / pieces) - Math.floor((piece * count) / pieces);
        this.#send(opened[next++ % connections] as RawConnection, messages, share);
      }
    };
  }

  #send(connection: RawConnection, messages: Messages, count: number): void {
    if (connection.waitingBytes > WAITING_MAX_BYTES || connection.closedBy !== null) {
      this.#heldBack += count;
      return;
    }
    const bytes = Buffer.allocUnsafe(count * messages.messageBytes);
    const nowMs = performance.now();
    for (let i = 0; i < count; i++) {
      const number = this.#sent++;
      this.#sentAtMs[number] = nowMs;
      const serial = this.#plan.firstSerial + number;
      const requestId = FIRST_REQUEST_ID + number;
      messages.write(bytes, i * messages.messageBytes, { serial, requestId });
    }
    connection.write(bytes);
  }

  #onFrame(frame: Uint8Array): void {
    const header = this.#header;
    readFrameHeader(frame, header);
    if ((header.flags & FLAG.last) === 0) return;
    const number = header.requestId - FIRST_REQUEST_ID;
    const tookMs = performance.now() - (this.#sentAtMs[number] as number);
    this.#answered++;
    if ((header.flags & FLAG.error) === 0) {
      this.#fates[number] = header.opcode === OP.add_block ? FATE.acked : FATE.answered;
      this.#ackedMs.push(tookMs);
      return;
    }
    // Copied: the bytes stand anywhere in what arrived.
    const error = decodeErrorReply(new Uint8Array(payloadOf(frame)));
    const isRefused = outcomeOf(error) === OUTCOME.refused;
    this.#fates[number] = isRefused ? FATE.refused : FATE.unknown;
    this.#failedMs.push(tookMs);
    const name = `${error.code}/${error.reason}`;
    this.#failures.set(name, (this.#failures.get(name) ?? 0) + 1);
  }

  async #untilAnswered(): Promise<void> {
    const endAtMs = performance.now() + this.#plan.timeoutMs + ANSWERS_LIMIT_MS;
    while (this.#answered < this.#sent && performance.now() < endAtMs) {
      if (this.#closed().length > 0) return;
      await pause(POLL_MS);
    }
  }

  #closed(): string[] {
    return this.#connections.flatMap(({ closedBy }) => (closedBy === null ? [] : [closedBy]));
  }

  #report(closed: readonly string[]): FloodReport {
    const fates = this.#fates.subarray(0, this.#sent);
    const countOf = (fate: number): number =>
      fates.reduce((n, one) => n + (one === fate ? 1 : 0), 0);
    return {
      fates: new Uint8Array(fates),
      sent: this.#sent,
      acked: countOf(FATE.acked),
      answeredReads: countOf(FATE.answered),
      failures: this.#failures,
      unanswered: this.#sent - this.#answered,
      closed,
      heldBack: this.#heldBack,
      ackedP99Ms: p99(this.#ackedMs),
      failedP99Ms: p99(this.#failedMs),
    };
  }
}

/** Strong reads of one key of the checked clients. */
function readMessages(timeoutMs: number): Messages {
  const frame = blockListFrame(0);
  writeRequestHeader(frame, { opcode: OP.get_block_metadata, requestId: 0, timeoutMs, aux: 0 });
  const message = messageOf(frame);
  const idOffset = message.length - frame.length + REQUEST_ID_OFFSET;
  return {
    messageBytes: message.length,
    write(into, offset, { requestId }) {
      message.copy(into, offset);
      into.writeUInt32LE(requestId, offset + idOffset);
    },
  };
}

function p99(durationsMs: number[]): number {
  const sorted = Float64Array.from(durationsMs).sort();
  return Math.round(sorted[Math.floor(sorted.length * 0.99)] ?? 0);
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, durationMs);
  });
}

function tell(message: FloodMessage): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, () => resolve());
  });
}

process.once("message", (plan: FloodPlan) => {
  void new Flood(plan).run().then(async (report) => {
    await tell(report);
    process.disconnect();
  });
});
