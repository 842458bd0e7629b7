/**
 * The first five minutes: add the metadata of one block, find it again by a selector, read it as a plain object.
 *
 *   npm start                                     # in another terminal
 *   node dist/examples/add-and-query.js           # or with an endpoint: ... hearth-0:4041
 */
import { monotonicFactory } from "ulid";
// In your program: import { ... } from "hearth/client";
import { type BlockMeta, collectBlocks, connect } from "../src/client/index.ts";

const endpoint = process.argv[2] ?? "127.0.0.1:4041";
const nowMs = Date.now();

/** A fresh segment: the block has no owner, its dataset belongs to tenant "acme". Numbers refer to `stringTable`. */
const block: BlockMeta = {
  formatVersion: 1,
  id: monotonicFactory()(nowMs),
  tenant: 0,
  shard: 1,
  compactionLevel: 0,
  minTimeMs: nowMs - 10_000,
  maxTimeMs: nowMs,
  createdBy: 1,
  sizeBytes: 4_096n,
  metadataOffset: 4_000n,
  stringTable: ["", "example", "acme", "api", "service_name", "__profile_type__", "cpu"],
  datasets: [
    {
      tenant: 2,
      name: 3,
      minTimeMs: nowMs - 10_000,
      maxTimeMs: nowMs,
      tableOfContents: [0n, 1_024n, 2_048n],
      sizeBytes: 4_000n,
      labels: [2, 4, 3, 5, 6], // one set of two pairs: service_name=api, __profile_type__=cpu
      format: 0,
    },
  ],
};

const hearth = await connect({ endpoints: [endpoint], name: "example" });
try {
  const { logIndex } = await hearth.addBlock(block);
  console.log(`added ${block.id} at log index ${logIndex}`);

  const query = {
    tenants: ["acme"],
    selector: '{service_name="api"}',
    startAtMs: nowMs - 60_000,
    endAtMs: nowMs,
    labels: ["__profile_type__"],
  };
  const found = await collectBlocks(hearth.queryMetadata(query));
  console.log(`found ${found.length} blocks`);
  console.log(found.find(({ id }) => id === block.id));
} finally {
  await hearth.close();
}
