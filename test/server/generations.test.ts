/** Reader threads when a snapshot takes the place of the state under their reads. */

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SILENT_LOGGER } from "../../src/base/index.ts";
import { connect, type HearthClient } from "../../src/client/index.ts";
import { IMAGE_DEFAULTS, StateSnapshots } from "../../src/state/index.ts";
import { TaskThreads } from "../../src/tasks/index.ts";
import { ImageRig, imageOf, sourceOf } from "../state/snapshot/support.ts";
import { batchOf, entry, ulidAt, WINDOW_MS } from "../state/support.ts";
import { withPool } from "./pool-support.ts";

const ID = ulidAt(WINDOW_MS);
const ROUNDS = 5;

/** A state of its own history: the same block with other labels, behind other blocks, so that ids mean other things. */
function stateOf(name: string, entries: number): { image: Uint8Array; close: () => Promise<void> } {
  const rig = new ImageRig();
  const filler = Array.from({ length: entries - 1 }, (_, i) =>
    entry.addBlocks({ id: ulidAt(WINDOW_MS, 100 + i), datasets: [{ name: `${name}-${i}` }] }),
  );
  const block = entry.addBlocks({ id: ID, datasets: [{ name }] });
  rig.state.apply([batchOf([...filler, block], { firstIndex: 1 })]);
  return { image: imageOf(rig.db, null), close: () => rig.close() };
}

/** Names of the block's datasets, as the client understands them. */
async function look(client: HearthClient): Promise<string> {
  const names: string[] = [];
  for await (const batch of client.getBlockMetadata({ shard: 1, blocks: [ID] })) {
    for (const block of batch) {
      const { datasets, stringTable } = block.toBlockMeta();
      names.push(...datasets.map(({ name }) => stringTable[name] ?? "?"));
    }
  }
  return names.join(" ");
}

async function query(client: HearthClient): Promise<number> {
  let blocks = 0;
  const range = { startAtMs: WINDOW_MS - 1, endAtMs: WINDOW_MS + 3_600_000 };
  for await (const batch of client.queryMetadata({ tenants: ["acme"], selector: "{}", ...range }))
    blocks += batch.blockCount;
  return blocks;
}

test("readers go over to an installed state under their reads, with nothing of the old one left", () =>
  withPool({ readersCount: 2, transport: "auto" }, async (rig) => {
    const { pool, shared, database, state, proposer } = rig;
    const threads = new TaskThreads();
    const snapshots = new StateSnapshots(IMAGE_DEFAULTS, {
      db: database,
      mapSizeBytes: 256 * 1024 * 1024,
      stateMachine: state,
      threads,
      logger: SILENT_LOGGER,
      onGeneration: (generation) => {
        shared.setGeneration(generation);
        return pool.useGeneration(generation);
      },
    });
    const limits = { connectTimeoutMs: 60_000, defaultTimeoutMs: 60_000 };
    const wish = { endpoints: [`127.0.0.1:${pool.address?.port}`], ...limits };
    const clients = await Promise.all(Array.from({ length: 4 }, () => connect(wish)));
    state.apply([
      batchOf([entry.addBlocks({ id: ID, datasets: [{ name: "round-0" }] })], { firstIndex: 1 }),
    ]);
    proposer.publish();
    // Each round has more entries, so that the index of the state only grows.
    let round = 0;
    let allowed = ["round-0"];
    let reads = 0;
    let isDone = false;
    const reading = clients.map(async (client) => {
      while (!isDone) {
        const before = allowed;
        const found = await look(client);
        assert.ok([...before, ...allowed].includes(found), `${found} in round ${round}`);
        const blocks = await query(client);
        assert.ok(blocks >= 1, `${blocks} blocks in round ${round}`);
        reads += 2;
        await sleep(1);
      }
    });
    try {
      for (round = 1; round <= ROUNDS; round++) {
        const name = `round-${round}`;
        const { image, close } = stateOf(name, 10 * round);
        allowed = [...allowed, name];
        await snapshots.install({ index: 10 * round, term: 1 }, sourceOf(image));
        proposer.publish();
        allowed = [name];
        for (const client of clients) {
          assert.equal(await look(client), name);
          assert.equal(await query(client), 10 * round);
        }
        await close();
      }
    } finally {
      isDone = true;
      await Promise.all(reading);
      for (const client of clients) await client.close();
      await snapshots.stop();
      await threads.close();
    }
    assert.ok(reads > 10 * ROUNDS, `${reads} reads`);
    const left = readdirSync(database.directory).filter((each) => each.startsWith("lmdb"));
    assert.deepEqual(left, [`lmdb-${ROUNDS}`]);
    assert.deepEqual(rig.gaveUp, []);
    assert.deepEqual(
      rig.logs.filter(({ level }) => level === "error" || level === "warn"),
      [],
    );
  }));
