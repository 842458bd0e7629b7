/**
 * The clients: each does one thing at a time, on a node that it draws anew each time, and notes what came of it.
 * What a client draws follows from the seed; when it draws does not, since the processes are real.
 */

import { type HearthError, Prng } from "../../../src/base/index.ts";
import type { AnswerFrame } from "../../../src/client/exchange.ts";
import { payloadOf } from "../../../src/client/frames.ts";
import {
  decodeWriteReply,
  EntryChunkReader,
  OP,
  type PlanBatch,
  PlanChunkReader,
} from "../../../src/protocol/index.ts";
import { type History, OUTCOME, type Read, type Violation, type Write } from "../history.ts";
import { Keys } from "./keys.ts";
import { addBlockFrame, blockListFrame, elementsIn, queryFrame } from "./keyspace.ts";
import { type Answer, NodeSession } from "./node-session.ts";
import { isUnexpected, outcomeOf } from "./outcomes.ts";

export interface LoadOptions {
  readonly seed: number;
  readonly clientCount: number;
  /** Share of writes among the operations of a writing client. */
  readonly writeShare: number;
  /** Clients that write; the others only read. */
  readonly writerCount: number;
  /** Pause after each operation: uniform from 0 to this. */
  readonly thinkMaxMs: number;
  /** After it a client gives up and goes elsewhere. */
  readonly timeoutMs: number;
}

export interface LoadTarget {
  readonly serverId: string;
  readonly endpoint: string;
}

/** Told of every acknowledged write, at the moment of its answer. */
export type AckListener = (write: Write, target: LoadTarget) => void;

/** Told of every strong read that was answered. */
export type ReadListener = (read: Read, target: LoadTarget) => void;

const SEED_STREAM = 100;
/** After a failure, so that clients of a node that is down do not spin. */
const FAILURE_PAUSE_MS = 25;
const DICTIONARY_BYTES = 1024 * 1024;
const VIOLATIONS_MAX = 50;

export class Load {
  readonly #options: LoadOptions;
  readonly #targets: LoadTarget[];
  readonly #clients: LoadClient[] = [];
  readonly keys = new Keys();
  readonly writes: Write[] = [];
  readonly reads: Read[] = [];
  /** What no check over the history can see: answers that make no sense. */
  readonly violations: Violation[] = [];
  /** Failures by "read" or "write" and reason. */
  readonly failures = new Map<string, number>();
  /** Failures by node. */
  readonly failuresBy = new Map<string, number>();
  /** Acknowledged writes and answered reads by node. */
  readonly answeredBy = new Map<string, { writes: number; reads: number }>();
  /** Ids of blocks that a fault's own programs have added. */
  readonly otherBlocks = new Set<string>();
  readonly #ackListeners = new Set<AckListener>();
  readonly #readListeners = new Set<ReadListener>();
  #runs: Promise<void>[] = [];
  isStopping = false;

  constructor(options: LoadOptions, targets: readonly LoadTarget[]) {
    this.#options = options;
    this.#targets = [...targets];
  }

  get history(): History {
    return { writes: this.writes, reads: this.reads };
  }

  start(): void {
    for (let i = 0; i < this.#options.clientCount; i++) {
      const client = new LoadClient(i, this, this.#options);
      for (const target of this.#targets) client.connect(target);
      this.#clients.push(client);
    }
    this.#runs = this.#clients.map((client) => client.run());
  }

  /** A node that joined: clients use it from now on. */
  addTarget(target: LoadTarget): void {
    this.#targets.push(target);
    for (const client of this.#clients) client.connect(target);
  }

  removeTarget(serverId: string): void {
    const position = this.#targets.findIndex((target) => target.serverId === serverId);
    if (position >= 0) this.#targets.splice(position, 1);
    for (const client of this.#clients) client.disconnect(serverId);
  }

  /** Lets every client finish what it is doing. */
  async stop(): Promise<void> {
    this.isStopping = true;
    await Promise.all(this.#runs);
    for (const client of this.#clients) client.close();
  }

  onAck(listener: AckListener): () => void {
    this.#ackListeners.add(listener);
    return () => this.#ackListeners.delete(listener);
  }

  onRead(listener: ReadListener): () => void {
    this.#readListeners.add(listener);
    return () => this.#readListeners.delete(listener);
  }

  /** What nodes other than these have answered so far. */
  answeredByOthers(serverIds: readonly string[]): {
    readonly reads: number;
    readonly writes: number;
  } {
    let [reads, writes] = [0, 0];
    for (const [serverId, counts] of this.answeredBy) {
      if (serverIds.includes(serverId)) continue;
      reads += counts.reads;
      writes += counts.writes;
    }
    return { reads, writes };
  }

  /** Resolves with the time of the first acknowledgement of a write that began after `afterMs`; null: none in time. */
  nextAck(afterMs: number, limitMs: number): Promise<number | null> {
    return new Promise((resolve) => {
      const finish = (atMs: number | null): void => {
        forget();
        clearTimeout(timer);
        resolve(atMs);
      };
      const forget = this.onAck((write) => {
        if (write.invokedAtMs > afterMs) finish(write.returnedAtMs);
      });
      const timer = setTimeout(() => finish(null), limitMs);
    });
  }

  noteAck(write: Write, target: LoadTarget): void {
    this.#countsOf(target).writes += 1;
    for (const listener of this.#ackListeners) listener(write, target);
  }

  noteRead(read: Read, target: LoadTarget): void {
    this.reads.push(read);
    this.#countsOf(target).reads += 1;
    for (const listener of this.#readListeners) listener(read, target);
  }

  noteFailure(kind: "read" | "write", { serverId }: LoadTarget, error: HearthError): void {
    this.failuresBy.set(serverId, (this.failuresBy.get(serverId) ?? 0) + 1);
    const name = `${kind}: ${error.reason}`;
    this.failures.set(name, (this.failures.get(name) ?? 0) + 1);
    if (isUnexpected(error)) this.noteViolation("unexpected-error", `${kind}: ${error.message}`);
  }

  noteViolation(check: string, text: string): void {
    if (this.violations.length < VIOLATIONS_MAX) this.violations.push({ check, text });
  }

  #countsOf({ serverId }: LoadTarget): { writes: number; reads: number } {
    const known = this.answeredBy.get(serverId);
    if (known !== undefined) return known;
    const fresh = { writes: 0, reads: 0 };
    this.answeredBy.set(serverId, fresh);
    return fresh;
  }
}

interface Route {
  readonly target: LoadTarget;
  readonly session: NodeSession;
}

class LoadClient {
  readonly #number: number;
  readonly #load: Load;
  readonly #options: LoadOptions;
  readonly #random: Prng;
  readonly #routes: Route[] = [];

  constructor(number: number, load: Load, options: LoadOptions) {
    this.#number = number;
    this.#load = load;
    this.#options = options;
    this.#random = new Prng(options.seed, SEED_STREAM + number);
  }

  connect(target: LoadTarget): void {
    const session = new NodeSession({
      endpoint: target.endpoint,
      name: `chaos-${this.#number}`,
      // Both forms of point reads are used.
      dictionaryMaxBytes: this.#number % 2 === 0 ? DICTIONARY_BYTES : 0,
    });
    this.#routes.push({ target, session });
  }

  disconnect(serverId: string): void {
    const position = this.#routes.findIndex(({ target }) => target.serverId === serverId);
    if (position < 0) return;
    const [route] = this.#routes.splice(position, 1);
    route?.session.close();
  }

  close(): void {
    for (const { session } of this.#routes) session.close();
  }

  async run(): Promise<void> {
    const { thinkMaxMs, writerCount, writeShare } = this.#options;
    const share = this.#number < writerCount ? writeShare : 0;
    while (!this.#load.isStopping) {
      const ready = this.#routes.filter(({ session }) => session.isReady);
      const isDone =
        ready.length > 0 &&
        (this.#random.nextChance(share)
          ? await this.#write(this.#random.pick(ready))
          : await this.#read(this.#random.pick(ready)));
      await pause(isDone ? this.#random.nextFloat() * thinkMaxMs : FAILURE_PAUSE_MS);
    }
  }

  /** Returns whether it was acknowledged. */
  async #write({ target, session }: Route): Promise<boolean> {
    const { key, element } = this.#load.keys.takeElement(this.#random);
    const frame = addBlockFrame(key, element);
    const write: Write = {
      client: this.#number,
      key,
      element,
      invokedAtMs: performance.now(),
      returnedAtMs: Number.POSITIVE_INFINITY,
      outcome: OUTCOME.unknown,
      logIndex: 0,
    };
    this.#load.writes.push(write);
    const answer = await session.ask(OP.add_block, frame, this.#options.timeoutMs);
    if (!answer.ok) {
      write.outcome = outcomeOf(answer.error);
      if (write.outcome === OUTCOME.refused) write.returnedAtMs = performance.now();
      this.#load.noteFailure("write", target, answer.error);
      return false;
    }
    write.returnedAtMs = performance.now();
    write.outcome = OUTCOME.acked;
    write.logIndex = decodeWriteReply(payloadOf((answer.frames[0] as AnswerFrame).bytes)).logIndex;
    this.#load.noteAck(write, target);
    return true;
  }

  async #read({ target, session }: Route): Promise<boolean> {
    const key = this.#load.keys.keyToRead(this.#random);
    const isQuery = this.#random.nextChance(0.5);
    const frame = isQuery ? queryFrame(key) : blockListFrame(key);
    const opcode = isQuery ? OP.query_metadata : OP.get_block_metadata;
    const invokedAtMs = performance.now();
    const answer = await session.ask(opcode, frame, this.#options.timeoutMs);
    const returnedAtMs = performance.now();
    if (!answer.ok) {
      this.#load.noteFailure("read", target, answer.error);
      return false;
    }
    try {
      const { seen, appliedIndex } = readAnswer(answer, key);
      const read = {
        client: this.#number,
        key,
        invokedAtMs,
        returnedAtMs,
        seen,
        appliedIndex,
      };
      this.#load.noteRead(read, target);
    } catch (error) {
      this.#load.noteViolation("answer", `${target.serverId}: ${(error as Error).message}`);
    }
    return true;
  }
}

/** Errors: throws for an answer that no state can give. */
export function readAnswer(
  answer: Answer & { readonly ok: true },
  key: number,
): { readonly seen: number; readonly appliedIndex: number } {
  let seen = 0;
  let appliedIndex = 0;
  for (const frame of answer.frames) {
    const chunk = chunkOf(frame);
    if (chunk === null) continue;
    const elements = elementsIn(chunk, key);
    if ((seen & elements) !== 0) throw new Error(`Key ${key}: a block stands in two chunks`);
    seen |= elements;
    if (chunk.appliedIndex > 0) appliedIndex = chunk.appliedIndex;
  }
  return { seen, appliedIndex };
}

function chunkOf({ bytes, held }: AnswerFrame): (PlanBatch & { appliedIndex: number }) | null {
  const payload = payloadOf(bytes);
  if (payload.length === 0) return null;
  return held === null ? new PlanChunkReader(payload) : new EntryChunkReader(payload, held);
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, durationMs);
  });
}
