/** The placement of a real node: from blocks that a client adds to rules in the bucket, and pins by the command line. */

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { LOAD_DEFAULTS, LoadGenerator } from "../../src/cli/load/index.ts";
import { connect } from "../../src/client/index.ts";
import { PLACEMENT_KEYS } from "../../src/leader/index.ts";
import { decodePlacementRules, type PlacementRules } from "../../src/protocol/index.ts";
import { type ServerProcess, startServer } from "../support/server-process.ts";
import { until } from "../support/until.ts";
import { hearthAt, type Said } from "./support.ts";

let directory = "";
let server: ServerProcess;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "hearth-placement-"));
  server = await startServer({
    directory,
    flags: [
      `-storage.filesystem.dir=${join(directory, "bucket")}`,
      "-adaptive-placement.placement-rules-update-interval=250ms",
      "-adaptive-placement.stats-aggregation-window=1s",
      "-hearth.reader-threads=1",
    ],
  });
});
after(async () => {
  await server.kill();
  rmSync(directory, { recursive: true });
});

function rules(): PlacementRules {
  const path = join(directory, "bucket", PLACEMENT_KEYS.rules);
  return existsSync(path)
    ? decodePlacementRules(readFileSync(path))
    : { tenants: [], datasets: [], createdAtNs: 0n };
}

/** A claim that is followed by what the server said. */
function said(claim: string): () => string {
  return () => `${claim}\n${server.output()}`;
}

function command(...argv: readonly string[]): Promise<Said> {
  return hearthAt(server.httpUrl, "placement", ...argv);
}

async function loadOfBusiest(): Promise<number> {
  const { out } = await command("show", "--limit", "1", "--json");
  const table = JSON.parse(out) as { schema: string; rows: { bytesPerSec: number }[] };
  assert.equal(table.schema, "hearth/placement/v1");
  return table.rows[0]?.bytesPerSec ?? 0;
}

describe("the placement of a node", () => {
  it("is made from the blocks that writers add, and shown", async () => {
    const now = Date.now();
    const load = new LoadGenerator({ ...LOAD_DEFAULTS, startAtMs: now, endAtMs: now + 1 });
    await using client = await connect({ endpoints: [server.endpoint] });
    let position = 0;
    await until(said("twenty datasets have rules and a load"), async () => {
      await client.addBlocks(Array.from({ length: 20 }, () => load.block(position++)));
      // The first block of a second only starts the clock of its rate.
      return rules().datasets.length >= 20 && (await loadOfBusiest()) > 0;
    });
    const { out, code } = await command("show", "--limit", "5");
    assert.equal(code, 0);
    assert.match(out, /^TENANT +DATASET +SHARDS +STRATEGY +LOAD\/S/);
    assert.equal(out.split("\n").length, 6);
    const metrics = await (await fetch(`${server.httpUrl}/metrics`)).text();
    assert.match(metrics, /pyroscope_adaptive_placement_rules \d+/);
    assert.match(metrics, /pyroscope_adaptive_placement_dataset_shard_limit\{tenant="/);
  });

  it("takes a pin at once, and gives it up again", async () => {
    const dry = await command("pin", "acme", "checkout", "--shards", "6", "--dry-run");
    assert.match(dry.out, /^dry run: would pin "checkout" of tenant "acme": 1 -> 6 shards/);
    assert.equal(rules().datasets.filter(({ name }) => name === "checkout").length, 0);
    const done = await command("pin", "acme", "checkout", "--shards", "6");
    assert.match(done.out, /^pinned "checkout" of tenant "acme"/, done.talk);
    const pinned = rules().datasets.find(({ name }) => name === "checkout");
    assert.equal(pinned?.datasetShardLimit, 6);
    const again = await command("pin", "acme", "checkout", "--shards", "6");
    assert.match(again.out, /is pinned so already$/);
    const shown = await command("show", "--tenant", "acme");
    assert.match(shown.out, /acme +checkout +6 .* 6$/m);
    const unpinned = await command("unpin", "acme", "checkout");
    assert.match(unpinned.out, /^unpinned "checkout"/);
    assert.equal(rules().datasets.filter(({ name }) => name === "checkout").length, 0);
    assert.match((await command("unpin", "acme", "checkout")).out, /is not pinned already$/);
  });

  it("previews, and refuses pins that make no sense", async () => {
    await until(
      said("there is something to preview"),
      async () => (await command("preview")).code === 0,
    );
    for (const argv of [["show"], ["preview"], ["pin", "acme", "checkout", "--shards", "3"]])
      assert.equal((await command(...argv, "--json")).code, 0, argv.join(" "));
    assert.match((await command("show", "--json")).out, /"pins":\[\{"tenant":"acme"/);
    assert.match((await command("unpin", "acme", "checkout", "--json")).out, /"changed":true/);
    assert.equal((await command("pin", "acme", "checkout", "--shards", "0")).code, 2);
    assert.equal((await command("pin", "acme", "checkout")).code, 2);
    const odd = await command("pin", "acme", "x", "--shards", "2", "--load-balancing", "odd");
    assert.equal(odd.code, 2);
    assert.match(odd.talk, /neither fingerprint nor round-robin/);
    const unknown = await fetch(`${server.httpUrl}/api/v1/placement?tenat=acme`);
    assert.equal(unknown.status, 400);
  });
});
