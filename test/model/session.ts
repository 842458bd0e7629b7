/**
 * Runs operations against the model and the real thing, compares every answer, and cuts a failing sequence down to
 * the operations that matter.
 */

import { isDeepStrictEqual } from "node:util";
import { assert, Prng, unreachable } from "../../src/base/index.ts";
import type { BlockMeta } from "../../src/protocol/index.ts";
import { Driver } from "./driver.ts";
import { Generator } from "./generator.ts";
import { NaiveIndex } from "./naive-index.ts";
import {
  describe,
  isRead,
  isWrite,
  type Operation,
  type ReadOperation,
  type WriteOperation,
} from "./operations.ts";
import { areSameBlocks } from "./plain.ts";
import type { Shape } from "./shapes.ts";

/** Time for cutting down a failing sequence. What is left then is good enough. */
const SHRINK_LIMIT_MS = 60_000;
const OPERATIONS_SHOWN_MAX = 40;

export interface SessionResult {
  readonly operations: number;
  /** Reads whose answer was not empty: a test that only compares nothing with nothing would show here. */
  readonly telling: number;
  /** What to print, or null. */
  readonly failure: string | null;
}

/** Runs at least `operationsMin` operations made from the seed. */
export async function runSession(
  shape: Shape,
  seed: number,
  operationsMin: number,
): Promise<SessionResult> {
  const model = new NaiveIndex();
  const generator = new Generator(new Prng(seed), shape, model);
  const pair = new Pair(model, new Driver(shape));
  const history: Operation[] = [];
  try {
    while (history.length < operationsMin) {
      const run = generator.nextRun();
      history.push(...run);
      const problem = await pair.execute(run);
      if (problem === null) continue;
      return {
        operations: history.length,
        telling: pair.telling,
        failure: await explain(problem, history, shape, seed),
      };
    }
    return { operations: history.length, telling: pair.telling, failure: null };
  } finally {
    await pair.close();
  }
}

/** The model and the real thing, moved together. */
class Pair {
  readonly #model: NaiveIndex;
  readonly #driver: Driver;
  #lastIndex = 0;
  telling = 0;

  constructor(model: NaiveIndex, driver: Driver) {
    this.#model = model;
    this.#driver = driver;
  }

  /** Executes a run. Result: the first difference, or null. */
  async execute(run: readonly Operation[]): Promise<string | null> {
    try {
      for (let i = 0; i < run.length; ) {
        const operation = run[i] as Operation;
        if (isWrite(operation)) {
          const writes = takeWhile(run, i, isWrite);
          for (const write of writes) applyToModel(this.#model, write, ++this.#lastIndex);
          this.#driver.apply(writes);
          i += writes.length;
          continue;
        }
        if (isRead(operation)) {
          const problem = this.#compare(operation);
          if (problem !== null) return problem;
        } else if (operation.kind === "restart") await this.#driver.restart();
        else this.#driver.replay();
        i++;
      }
      return null;
    } catch (error) {
      return error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
  }

  #compare(read: ReadOperation): string | null {
    const expected = askModel(this.#model, read);
    const actual = askDriver(this.#driver, read);
    if (!Array.isArray(expected) || expected.length > 0) this.telling++;
    if (isSameAnswer(actual, expected)) return null;
    return `answers differ\n  read     ${describe(read)}\n  expected ${show(expected)}\n  got      ${show(actual)}`;
  }

  close(): Promise<void> {
    return this.#driver.close();
  }
}

function takeWhile<T extends Operation>(
  run: readonly Operation[],
  start: number,
  isWanted: (operation: Operation) => operation is T,
): T[] {
  const taken: T[] = [];
  for (let i = start; i < run.length; i++) {
    const operation = run[i] as Operation;
    if (!isWanted(operation)) break;
    taken.push(operation);
  }
  return taken;
}

function applyToModel(model: NaiveIndex, write: WriteOperation, logIndex: number): void {
  switch (write.kind) {
    case "addBlocks":
      for (const block of write.blocks) model.addBlock(block);
      return;
    case "replaceBlocks":
      model.replaceBlocks(write.source, write.newBlocks);
      return;
    case "completeJob":
      completeJob(model, write);
      return;
    case "deleteShard":
      model.deleteShard(write.shard);
      return;
    case "truncateIndex":
      if (write.plannedTerm === write.term) {
        model.truncate(write.tombstones, write.appendedAtMs, logIndex);
      }
      return;
    case "addTombstones":
      for (const tombstone of write.tombstones) model.addTombstone(tombstone, write.appendedAtMs);
      return;
    case "deleteTombstones":
      for (const tombstone of write.tombstones) model.deleteTombstone(tombstone);
      return;
    case "noop":
      return;
    default:
      unreachable(write);
  }
}

/** Spec 4.4: without results the job is skipped; else its sources get a tombstone under the job's name. */
function completeJob(
  model: NaiveIndex,
  write: Extract<WriteOperation, { kind: "completeJob" }>,
): void {
  const { compaction } = write;
  if (compaction === null || compaction.newBlocks.length === 0) return;
  const blocks = { name: write.name, compactionLevel: write.level, ...compaction.source };
  model.addTombstone({ blocks, shard: null }, write.appendedAtMs);
  model.replaceBlocks(compaction.source, compaction.newBlocks);
}

function askModel(model: NaiveIndex, read: ReadOperation): unknown {
  switch (read.kind) {
    case "getBlocks":
      return model.getBlocks(read.tenant, read.shard, read.blocks);
    case "query":
      return model.query(read.query);
    case "queryLabels":
      return model.queryLabels(read.query);
    case "getTenants":
      return model.getTenants();
    case "getTenant":
      return model.getTenant(read.tenant);
    case "tombstoneExists":
      return model.tombstoneExists(read.tenant, read.shard, read.block);
    case "listTombstones":
      return model.listTombstones(read.beforeMs);
    default:
      return unreachable(read);
  }
}

function askDriver(driver: Driver, read: ReadOperation): unknown {
  switch (read.kind) {
    case "getBlocks":
      return driver.getBlocks(read.tenant, read.shard, read.blocks);
    case "query":
      return driver.query(read.query, read.spelling);
    case "queryLabels":
      return driver.queryLabels(read.query, read.spelling);
    case "getTenants":
      return driver.getTenants();
    case "getTenant":
      return driver.getTenant(read.tenant);
    case "tombstoneExists":
      return driver.tombstoneExists(read.tenant, read.shard, read.block);
    case "listTombstones":
      return driver.listTombstones(read.beforeMs);
    default:
      return unreachable(read);
  }
}

function isSameAnswer(actual: unknown, expected: unknown): boolean {
  if (!Array.isArray(actual) || !Array.isArray(expected))
    return isDeepStrictEqual(actual, expected);
  if (actual.length !== expected.length) return false;
  return actual.every((item: unknown, i) => {
    const other: unknown = expected[i];
    if (typeof item !== "object") return item === other;
    if (Array.isArray(item)) return isDeepStrictEqual(item, other);
    return areSameBlocks(item as BlockMeta, other as BlockMeta);
  });
}

function show(answer: unknown): string {
  const text = JSON.stringify(answer, (_key, value: unknown) =>
    typeof value === "bigint" ? `${value}n` : value,
  );
  return text.length > 4_000 ? `${text.slice(0, 4_000)}...` : text;
}

async function explain(
  problem: string,
  history: readonly Operation[],
  shape: Shape,
  seed: number,
): Promise<string> {
  const shrunk = await shrink(history, shape);
  const shown = shrunk.operations.slice(-OPERATIONS_SHOWN_MAX).map(describe);
  return [
    `shape "${shape.name}", seed ${seed}, operation ${history.length}: ${problem}`,
    `${shrunk.operations.length} operations are enough, the last of them:`,
    ...shown,
    `which fails with: ${shrunk.problem}`,
    `again: HEARTH_MODEL_SEED=${seed} npm test -- model`,
  ].join("\n");
}

/** Removes ever smaller pieces as long as the rest still fails, whatever the failure is. */
async function shrink(
  history: readonly Operation[],
  shape: Shape,
): Promise<{ operations: readonly Operation[]; problem: string }> {
  const endAtMs = performance.now() + SHRINK_LIMIT_MS;
  const last = history.at(-1);
  assert(last !== undefined, "Nothing to cut down");
  let operations = history;
  let problem = (await problemOf(history, shape)) ?? "not again: depends on the batches";
  // Reads change nothing but caches: mostly only the last one is needed.
  const writes = history.filter((operation) => !isRead(operation) || operation === last);
  const withoutReads = await problemOf(writes, shape);
  if (withoutReads !== null) [operations, problem] = [writes, withoutReads];
  for (
    let size = Math.ceil(operations.length / 2);
    size >= 1;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let start = 0; start < operations.length && performance.now() < endAtMs; ) {
      const candidate = [...operations.slice(0, start), ...operations.slice(start + size)];
      const failure = await problemOf(candidate, shape);
      if (failure === null) start += size;
      else [operations, problem] = [candidate, failure];
    }
  }
  return { operations, problem };
}

async function problemOf(operations: readonly Operation[], shape: Shape): Promise<string | null> {
  const pair = new Pair(new NaiveIndex(), new Driver(shape));
  try {
    return await pair.execute(operations);
  } finally {
    await pair.close();
  }
}
