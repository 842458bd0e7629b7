/** Small helpers around a log under test. */

import { type Scheduler, SILENT_LOGGER, SYSTEM_SCHEDULER } from "../../../src/base/index.ts";
import {
  type AppendBatch,
  DurableLog,
  type FileSystem,
  type LogOptions,
  type SuffixCut,
} from "../../../src/log/index.ts";
import { BATCH_KIND, type Batch, type BatchKind } from "../../../src/raft/index.ts";

export const SMALL_LOG: LogOptions = {
  directory: "/log",
  segmentBytes: 32 * 1024,
  groupMaxBytes: 8 * 1024,
  spaceRetryMs: 1,
};

/** A seeded generator, uniform in [0, 1). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** Entries whose payloads repeat their index and a tag, so that a wrong or old entry is recognised. */
export function entriesBody(
  firstIndex: number,
  count: number,
  payloadBytes: number,
  tag = 0,
): Uint8Array {
  const stride = 16 + Math.ceil(payloadBytes / 8) * 8;
  const body = new Uint8Array(stride * count);
  const view = new DataView(body.buffer);
  for (let i = 0; i < count; i++) {
    const at = i * stride;
    view.setUint32(at, payloadBytes, true);
    view.setUint16(at + 4, 1, true);
    view.setUint16(at + 6, 1, true);
    for (let j = 0; j + 8 <= payloadBytes; j += 8)
      view.setFloat64(at + 16 + j, (firstIndex + i) * 1000 + tag, true);
  }
  return body;
}

export function batchOf(
  firstIndex: number,
  count: number,
  settings: {
    term?: number;
    payloadBytes?: number;
    appendedAtMs?: number;
    tag?: number;
    kind?: BatchKind;
  } = {},
): AppendBatch {
  const { term = 1, payloadBytes = 40, appendedAtMs = 1000, tag = 0 } = settings;
  const kind = settings.kind ?? BATCH_KIND.entries;
  const body = entriesBody(firstIndex, count, payloadBytes, tag);
  return { kind, firstIndex, term, count, appendedAtMs, body, bodyBytes: body.length };
}

/** A log with promises instead of an owner. */
export class LogUnderTest {
  readonly log: DurableLog;
  failure: Error | null = null;
  durableSequence = 0;
  readonly #waiting: { sequence: number; resolve: () => void; reject: (error: Error) => void }[] =
    [];

  static async open(
    files: FileSystem,
    options: LogOptions = SMALL_LOG,
    scheduler: Scheduler = SYSTEM_SCHEDULER,
    hasRoom: () => boolean = () => true,
  ): Promise<LogUnderTest> {
    const modules = { files, logger: SILENT_LOGGER, scheduler, hasRoom };
    return new LogUnderTest(await DurableLog.open(options, modules));
  }

  private constructor(log: DurableLog) {
    this.log = log;
    log.setOwner({
      onDurable: (sequence) => {
        this.durableSequence = sequence;
        while (this.#waiting.length > 0 && (this.#waiting[0]?.sequence ?? 0) <= sequence) {
          this.#waiting.shift()?.resolve();
        }
      },
      onFailed: (error) => {
        this.failure = error;
        for (const { reject } of this.#waiting.splice(0)) reject(error);
      },
    });
  }

  /** Flushes and waits until the sequence number is durable. */
  durable(sequence: number): Promise<void> {
    const promise = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ sequence, resolve, reject });
    });
    this.log.flush();
    return promise;
  }

  append(count: number, settings: Parameters<typeof batchOf>[2] = {}): Promise<void> {
    return this.durable(this.log.append(batchOf(this.log.lastIndex + 1, count, settings)));
  }

  replaceFrom(
    cut: SuffixCut,
    count: number,
    settings: Parameters<typeof batchOf>[2] = {},
  ): Promise<void> {
    this.log.truncateSuffix(cut);
    return this.append(count, settings);
  }

  setHardState(term: number, vote = "", abstains = false): Promise<void> {
    return this.durable(this.log.setHardState({ term, vote, abstains }));
  }

  resetTo(index: number, term: number, appendedAtMs = 1000): Promise<void> {
    return this.durable(this.log.resetTo({ index, term, appendedAtMs }));
  }

  /** Reads everything from `fromIndex` on, entry by entry. */
  async entries(fromIndex = this.log.firstIndex, maxBytes = 4096): Promise<ReadEntry[]> {
    const entries: ReadEntry[] = [];
    for (let next = fromIndex; next <= this.log.durableIndex; ) {
      const batches = await this.log.read(next, maxBytes);
      if (batches.length === 0) throw new Error(`Nothing to read at ${next}`);
      for (const batch of batches) {
        if (batch.firstIndex !== next) throw new Error(`Read ${batch.firstIndex} at ${next}`);
        entries.push(...splitBatch(batch));
        next += batch.count;
      }
    }
    return entries;
  }
}

export interface ReadEntry {
  readonly index: number;
  readonly term: number;
  readonly appendedAtMs: number;
  readonly kind: BatchKind;
  /** The number in the payload: index * 1000 + tag. */
  readonly value: number;
}

function splitBatch(batch: Batch): ReadEntry[] {
  const { body, term, appendedAtMs, kind } = batch;
  const view = new DataView(body.buffer, body.byteOffset, batch.bodyBytes);
  const entries: ReadEntry[] = [];
  let at = 0;
  for (let i = 0; i < batch.count; i++) {
    const payloadBytes = view.getUint32(at, true);
    const value = payloadBytes >= 8 ? view.getFloat64(at + 16, true) : 0;
    entries.push({ index: batch.firstIndex + i, term, appendedAtMs, kind, value });
    at += 16 + Math.ceil(payloadBytes / 8) * 8;
  }
  if (at !== batch.bodyBytes)
    throw new Error(`Body of ${batch.bodyBytes} bytes holds ${at} bytes of entries`);
  return entries;
}
