/**
 * The process that is killed: log, state machine and driver over real files, without sockets.
 *
 *   node child.js <data directory> <first free block number> <seed> <file with ranges to check, or "-">
 *
 * Says on stdout: `ready`, `checked <count>` or `missing <numbers>`, then `acked <first> <count>` for ever.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type HearthError,
  Prng,
  SILENT_LOGGER,
  SYSTEM_CLOCK,
  SYSTEM_SCHEDULER,
} from "../../src/base/index.ts";
import { IndexDatabase } from "../../src/db/index.ts";
import {
  acquireDirectoryLock,
  DurableLog,
  LOG_DEFAULTS,
  WriterFiles,
} from "../../src/log/index.ts";
import { PlanChunkReader } from "../../src/protocol/index.ts";
import { QUERY_ENGINE_DEFAULTS, QueryEngine } from "../../src/read/index.ts";
import { NO_PEERS, REPLICA_DEFAULTS, Replica } from "../../src/replica/index.ts";
import { STATE_DEFAULTS, StateMachine } from "../../src/state/index.ts";
import { seededRandom } from "../log/support/log-harness.ts";
import { blockList, planAsker } from "../support/engine.ts";
import { addBlocksBody, BLOCKS_PER_RUN, blockId, SHARD } from "./blocks.ts";

const [directory = "", firstText = "", seedText = "", checkPath = "-"] = process.argv.slice(2);
/** Small, so that a run rolls over many segments. */
const LOG_SIZES = {
  ...LOG_DEFAULTS,
  segmentBytes: 256 * 1024,
  groupMaxBytes: 64 * 1024,
  queueMinBytes: 1024,
};

function fatal(error: HearthError): void {
  process.stderr.write(`${error.message}\n`);
  process.exit(74);
}

/** Block numbers of the ranges that the index does not hold. */
function missingBlocks(
  db: IndexDatabase,
  ranges: readonly (readonly [number, number])[],
): number[] {
  const engine = new QueryEngine(QUERY_ENGINE_DEFAULTS, { db });
  const missing: number[] = [];
  for (const [first, count] of ranges) {
    const numbers = Array.from({ length: count }, (_, i) => first + i);
    const found = new Set<string>();
    db.beginRead();
    const take = (chunk: Uint8Array): void => {
      const reader = new PlanChunkReader(chunk);
      for (let i = 0; i < reader.blockCount; i++) found.add(reader.block(i).id);
    };
    engine.getBlockMetadata(blockList("", SHARD, numbers.map(blockId)), planAsker(take));
    db.endRead();
    missing.push(...numbers.filter((number) => !found.has(blockId(number))));
  }
  return missing;
}

function check(db: IndexDatabase): void {
  if (checkPath === "-") return;
  const ranges = JSON.parse(readFileSync(checkPath, "utf8")) as [number, number][];
  const missing = missingBlocks(db, ranges);
  const total = ranges.reduce((sum, [, count]) => sum + count, 0);
  process.stdout.write(
    missing.length === 0 ? `checked ${total}\n` : `missing ${missing.join(",")}\n`,
  );
}

function load(replica: Replica): void {
  const random = seededRandom(Number(seedText));
  const inFlightMax = 1 + Math.floor(random() ** 2 * 63);
  const last = Number(firstText) + BLOCKS_PER_RUN;
  let next = Number(firstText);
  let inFlight = 0;
  const more = (): void => {
    while (inFlight < inFlightMax && next < last) {
      const first = next;
      const count = 1 + Math.floor(random() * 4);
      next += count;
      inFlight += 1;
      const body = addBlocksBody(first, count);
      replica.propose({ body, bodyBytes: body.length, count }, (result) => {
        inFlight -= 1;
        if (!result.ok) throw result.error;
        if (result.outcomes.some((outcome) => outcome !== 0))
          throw new Error(`Block ${first} was not new`);
        process.stdout.write(`acked ${first} ${count}\n`);
        setImmediate(more);
      });
    }
  };
  more();
}

await acquireDirectoryLock(directory);
const db = IndexDatabase.open({
  directory: join(directory, "index"),
  mapSizeBytes: 1024 ** 3,
  role: "writer",
});
const log = await DurableLog.open(
  { directory: join(directory, "log"), ...LOG_SIZES },
  { files: new WriterFiles(), logger: SILENT_LOGGER },
);
const stateMachine = new StateMachine(STATE_DEFAULTS, { db, logger: SILENT_LOGGER });
const self = { id: "crash-test", serverId: "crash-test", address: "" };
const random = new Prng(Number(seedText));
const replica = new Replica(
  { ...REPLICA_DEFAULTS, nodeId: self.id, bootstrap: [self] },
  {
    log,
    stateMachine,
    transport: NO_PEERS,
    snapshots: null,
    clock: SYSTEM_CLOCK,
    scheduler: SYSTEM_SCHEDULER,
    random: () => random.nextU32(),
    logger: SILENT_LOGGER,
    publish: () => {},
    onFatal: fatal,
  },
);
await replica.start();
// Alive until it is killed, also when it has nothing left to write.
setInterval(() => {}, 60_000);
process.stdout.write("ready\n");
check(db);
load(replica);
