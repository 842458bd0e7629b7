/** The recovery of dead letters over a bucket in memory and a log that answers as a test says. */
import { HearthError, SILENT_LOGGER } from "../../src/base/index.ts";
import {
  type ActivityResult,
  DLQ_DEFAULTS,
  type DlqOptions,
  DlqRecovery,
} from "../../src/leader/index.ts";
import { BlockReader } from "../../src/protocol/index.ts";
import type { ProposeResult } from "../../src/replica/index.ts";
import type { ObjectStore } from "../../src/storage/index.ts";
import { TestScheduler } from "../leader/support.ts";
import { AgedStore } from "./storage/aged-store.ts";

export interface DlqRig {
  readonly store: AgedStore;
  readonly scheduler: TestScheduler;
  readonly recovery: DlqRecovery;
  /** Ids handed to the log, in order. */
  readonly proposed: string[];
  /** What the log says to an id; null: taken. */
  answer: (id: string) => HearthError | string | null;
  readonly abort: AbortController;
  isLeading: boolean;
  run(): Promise<ActivityResult>;
  /** A sweep of a recovery of its own, with another way to the bucket. */
  runOver(store: ObjectStore): Promise<ActivityResult>;
}

/** Where the block of a single AddBlocks entry begins. */
const BLOCK_OFFSET = 32;
const START_MS = 1_800_000_000_000;

export function dlqRig(options: Partial<DlqOptions> = {}): DlqRig {
  const store = new AgedStore();
  const scheduler = new TestScheduler();
  const nowMs = (): number => START_MS + scheduler.monotonicMs();
  store.nowMs = nowMs;
  const reader = new BlockReader();
  const recoveryOver = (bucket: ObjectStore): DlqRecovery =>
    new DlqRecovery(
      { ...DLQ_DEFAULTS, intervalMs: 15_000, ...options },
      {
        store: bucket,
        replica: {
          propose: ({ body }, done) => {
            const length = new DataView(body.buffer, body.byteOffset).getUint32(24, true);
            const { id } = reader.reset(body, BLOCK_OFFSET, length);
            rig.proposed.push(id);
            queueMicrotask(() => done(resultOf(rig.answer(id))));
          },
        },
        clock: { nowMs },
        scheduler,
        logger: SILENT_LOGGER,
      },
    );
  const runOf = (recovery: DlqRecovery): Promise<ActivityResult> =>
    recovery.run({ term: 1, signal: rig.abort.signal, isLeading: () => rig.isLeading });
  const rig: DlqRig = {
    store,
    scheduler,
    proposed: [],
    answer: () => null,
    abort: new AbortController(),
    isLeading: true,
    recovery: recoveryOver(store),
    run: () => runOf(rig.recovery),
    runOver: (bucket) => runOf(recoveryOver(bucket)),
  };
  return rig;
}

function resultOf(answer: HearthError | string | null): ProposeResult {
  if (answer instanceof HearthError) return { ok: false, error: answer };
  const rejections = new Map<number, string>(answer === null ? [] : [[0, answer]]);
  return { ok: true, firstIndex: 1, term: 1, outcomes: new Uint8Array(1), rejections };
}
