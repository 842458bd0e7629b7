/** Log, state machine and driver of one node in this process, without threads and sockets. */

import { join } from "node:path";
import {
  giveHeapRoom,
  Prng,
  SILENT_LOGGER,
  SYSTEM_CLOCK,
  SYSTEM_SCHEDULER,
} from "../../src/base/index.ts";
import { IndexDatabase } from "../../src/db/index.ts";
import { DurableLog, LOG_DEFAULTS, type LogStats, WriterFiles } from "../../src/log/index.ts";
import {
  appendAddBlockEntry,
  ByteSink,
  encodeBlock,
  ENTRY_HEADER_BYTES,
} from "../../src/protocol/index.ts";
import {
  NO_PEERS,
  REPLICA_DEFAULTS,
  Replica,
  type StateMachine as ReplicaState,
} from "../../src/replica/index.ts";
import { STATE_DEFAULTS, StateMachine } from "../../src/state/index.ts";
import { type Call, lanesOf, runLanes } from "../harness/index.ts";
import { makeBlock, serviceNames } from "./block-fixture.ts";

export const ENTRY_BYTES = 600;

const SELF = { id: "bench", serverId: "bench", address: "" };

export interface NodeInProcess {
  readonly replica: Replica;
  /** Proposes one AddBlock entry of about 600 bytes with a new block; done when it is durable and applied. */
  readonly addBlock: Call;
  /** The same without a look at the outcome: for states that decide nothing. */
  readonly addEntry: Call;
  /** Of the log. */
  readonly stats: Readonly<LogStats>;
  close(): Promise<void>;
}

export async function startNode(
  directory: string,
  wrapState: (state: StateMachine) => ReplicaState = (state) => state,
): Promise<NodeInProcess> {
  giveHeapRoom();
  const db = IndexDatabase.open({
    directory: join(directory, "index"),
    mapSizeBytes: 64 * 1024 ** 3,
    role: "writer",
  });
  const state = new StateMachine(STATE_DEFAULTS, { db, logger: SILENT_LOGGER });
  const files = new WriterFiles();
  const log = await DurableLog.open(
    { ...LOG_DEFAULTS, directory: join(directory, "log") },
    { files, logger: SILENT_LOGGER },
  );
  const random = new Prng(1);
  const replica = new Replica(
    { ...REPLICA_DEFAULTS, nodeId: SELF.id, bootstrap: [SELF], tailMaxBytes: 0 },
    {
      log,
      stateMachine: wrapState(state),
      transport: NO_PEERS,
      snapshots: null,
      clock: SYSTEM_CLOCK,
      scheduler: SYSTEM_SCHEDULER,
      random: () => random.nextU32(),
      logger: SILENT_LOGGER,
      publish: () => {},
      onFatal: (error) => {
        throw error;
      },
    },
  );
  await replica.start();
  const cutting = setInterval(() => cutBehind(log, replica.status().appliedIndex), LOG_CUT_MS);
  const segments = new SegmentSource();
  const addBlock: Call = (done, failed) => {
    const body = segments.nextEntry();
    replica.propose({ body, bodyBytes: body.length, count: 1 }, (result) => {
      if (!result.ok) failed(result.error);
      else if (result.outcomes[0] !== 0)
        failed(new Error(`The block was not added: ${result.outcomes[0]}`));
      else done();
    });
  };
  const addEntry: Call = (done, failed) => {
    const body = segments.nextEntry();
    replica.propose({ body, bodyBytes: body.length, count: 1 }, (result) => {
      if (result.ok) done();
      else failed(result.error);
    });
  };
  return {
    replica,
    addBlock,
    addEntry,
    stats: log.stats,
    close: async () => {
      clearInterval(cutting);
      await replica.stop();
      await db.close();
    },
  };
}

const LOG_CUT_MS = 20;
/** The default of `metastore.raft.trailing-logs`. */
const LOG_KEPT_ENTRIES = 18 << 10;

/** What a snapshot does to the log, only more often: a node that runs for days is measured, not the first minutes of a new one. */
function cutBehind(log: DurableLog, appliedIndex: number): void {
  const throughIndex = Math.min(appliedIndex, log.durableIndex) - LOG_KEPT_ENTRIES;
  if (throughIndex >= log.firstIndex) log.truncatePrefix(throughIndex);
}

/**
 * A node is warm for all of its life but the first seconds: some thousand writes compile its write path, and as many more
 * one at a time the way that such writes take. Measured: p50 of a write alone 305 us without the second part, 144 after it.
 */
export async function warmUp(write: Call): Promise<void> {
  await runLanes(lanesOf(256, write), { goesOn: (writes) => writes < 20_000, latencies: null });
  await runLanes([write], { goesOn: (writes) => writes < 8_000, latencies: null });
}

/** Writes until the log goes on in files that it has used before, as it does from the second snapshot of a node on. */
export async function goRound(write: Call, { stats }: NodeInProcess): Promise<void> {
  await runLanes(lanesOf(512, write), { goesOn: () => stats.reuses < 2, latencies: null });
}

/** Applies nothing: what is left is the log. */
export function noState(): ReplicaState {
  let appliedIndex = 0;
  let appliedTerm = 0;
  return {
    get appliedIndex() {
      return appliedIndex;
    },
    get appliedTerm() {
      return appliedTerm;
    },
    apply: (batches) => {
      let count = 0;
      for (const batch of batches) {
        count += batch.count;
        appliedIndex = batch.firstIndex + batch.count - 1;
        appliedTerm = batch.term;
      }
      return { outcomes: new Uint8Array(count), rejections: new Map<number, string>() };
    },
  };
}

/** Level-0 segments of two datasets, ids and shards running on: what segment writers send. */
export class SegmentSource {
  readonly #templates: Uint8Array[] = [];
  readonly #entries: Uint8Array[] = [];
  #serial = 0;
  readonly #startAtMs = Date.now();

  constructor(shards = 16, services = 100) {
    const names = serviceNames(services);
    for (let i = 0; i < services; i++) {
      const sink = new ByteSink();
      const block = makeBlock({
        createdAtMs: this.#startAtMs,
        serial: 0,
        owner: "",
        datasetTenant: "acme",
        shard: i % shards,
        services: [names[i] as string, names[(i + 1) % services] as string],
        minTimeMs: this.#startAtMs - 500,
        maxTimeMs: this.#startAtMs,
      });
      encodeBlock(block, sink);
      this.#templates.push(sink.copy());
    }
  }

  /** The next wire block; its id was never used before. Owned. */
  nextBlock(): Uint8Array {
    const block = (this.#templates[this.#serial % this.#templates.length] as Uint8Array).slice();
    this.renew(block, 0);
    return block;
  }

  /** Gives the block that begins at bytes[offset] an id that was never used before. */
  renew(bytes: Uint8Array, offset: number): void {
    const serial = this.#serial++;
    // The id stands at the beginning of the head: see BLOCK_PRELUDE. Its last four bytes are the serial number.
    const at = offset + BLOCK_ID_OFFSET + 12;
    bytes[at] = serial >>> 24;
    bytes[at + 1] = serial >>> 16;
    bytes[at + 2] = serial >>> 8;
    bytes[at + 3] = serial;
  }

  /**
   * The same as a log entry. Borrowed: it is used again ENTRY_SLOTS entries later, as allocating one per proposal
   * would cost more than what is measured.
   */
  nextEntry(): Uint8Array {
    const slot = this.#serial % ENTRY_SLOTS;
    let entry = this.#entries[slot];
    if (entry === undefined) {
      const sink = new ByteSink();
      appendAddBlockEntry(sink, this.#templates[slot % this.#templates.length] as Uint8Array);
      entry = new Uint8Array(sink.view());
      this.#entries[slot] = entry;
    }
    this.renew(entry, ENTRY_BLOCK_OFFSET);
    return entry;
  }
}

const ENTRY_SLOTS = 4_096;
/** Entry header, then count and length words of the batch. */
const ENTRY_BLOCK_OFFSET = ENTRY_HEADER_BYTES + 16;

const BLOCK_ID_OFFSET = 24;
