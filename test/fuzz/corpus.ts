/** Where mutation starts: one valid frame or more of every operation, and the parts hostile ones are made of. */

import type { Prng } from "../../src/base/index.ts";
import {
  appendAddBlockEntry,
  appendEntry,
  beginCommandRequest,
  beginSessionWrite,
  type BlockMeta,
  type ByteSink,
  COMMAND,
  encodeBlock,
  encodeBlockBatch,
  encodeBlockListRequest,
  encodeCompactedBlocks,
  encodeCompletedJobs,
  encodeDeleteShard,
  encodeJsonMessage,
  encodeQueryRequest,
  encodeTenantRequest,
  encodeTombstones,
  encodeTruncateIndex,
  OP,
} from "../../src/protocol/index.ts";
import { BLOCK, encoded, type FrameParts, helloFrame } from "../server/support.ts";

/** A valid request, made anew each time, so that mutation starts from many points. */
export type Seed = (prng: Prng) => Omit<FrameParts, "requestId">;

const TENANTS = ["", "a", "b", "tenant-c", "ü", "x".repeat(300)];
const CONSISTENCIES = ["strong", "bounded", "local"] as const;
const SELECTORS = [
  "{}",
  '{service_name="service"}',
  '{service_name=~"ser.*", a!="b"}',
  '{service_name!~"(a|b)+c{2,5}"}',
  '{__tenant_dataset__="dataset_tsdb_index"}',
  '{"quoted name"="x"}',
  'up{a="1"}',
  '{a=""}',
];
const FRAGMENTS = [
  "{",
  "}",
  '"',
  "'",
  "`",
  "\\",
  ",",
  "=",
  "=~",
  "!~",
  "!=",
  "a",
  "(",
  ")",
  "[",
  "]",
  "*",
  "+",
  "?",
  "\u0000",
  "\ud800",
  "😀",
  "\\x",
  "(?i)",
  "{1000}",
  ".*",
  "|",
  " ",
  "\n",
  "#",
  "1e9",
  "offset 5m",
  "or",
];

export const SEEDS: readonly Seed[] = [
  () => ({ opcode: OP.hello, payload: helloFrame().subarray(16) }),
  (prng) => ({
    opcode: OP.add_block,
    payload: encoded((sink) => encodeBlock(randomBlock(prng), sink)),
  }),
  (prng) => ({
    opcode: OP.add_blocks,
    payload: encoded((sink) => encodeBlockBatch(sink, randomBlocks(prng))),
  }),
  (prng) => ({ opcode: OP.query_metadata, aux: prng.nextInt(3) * 50, payload: randomQuery(prng) }),
  (prng) => ({ opcode: OP.query_metadata_labels, payload: randomQuery(prng) }),
  (prng) => ({ opcode: OP.get_block_metadata, payload: randomList(prng) }),
  (prng) => ({ opcode: OP.get_tenants, payload: randomTenant(prng) }),
  (prng) => ({ opcode: OP.get_tenant, payload: randomTenant(prng) }),
  () => ({ opcode: OP.delete_tenant }),
  (prng) => ({ opcode: OP.delete_tenant, payload: randomDeletion(prng) }),
  (prng) => ({ opcode: OP.list_tenant_deletions, payload: randomTenantQuestion(prng) }),
  (prng) => ({ opcode: OP.open_tenant, payload: randomTenantQuestion(prng) }),
  // Numbers that no operation has.
  (prng) => ({ opcode: 128 + prng.nextInt(128), payload: randomTenant(prng) }),
  () => ({ opcode: OP.read_index }),
  () => ({ opcode: OP.node_info }),
  () => ({ opcode: OP.cancel }),
  (prng) => ({ opcode: OP.credit, aux: prng.nextU32() }),
  (prng) => ({ opcode: OP.command, payload: randomCommand(prng) }),
  (prng) => ({ opcode: OP.inspect, payload: randomQuestion(prng) }),
  () => ({ opcode: OP.ping }),
  () => ({ opcode: OP.open_session }),
  (prng) => ({
    opcode: OP.session_write,
    payload: encoded((sink) => randomSessionWrite(prng, sink)),
  }),
];

/** Numbers that a client makes, and others. */
function randomSessionWrite(prng: Prng, sink: ByteSink): void {
  const number = (): number => prng.pick([0, 1, 2, 300, -1, 0.5, Number.NaN, 2 ** 60]);
  const numbers = { sessionId: number(), sequence: number(), ackedThrough: number() };
  if (prng.nextChance(0.5)) {
    beginSessionWrite(sink, { ...numbers, opcode: OP.add_block });
    encodeBlock(randomBlock(prng), sink);
  } else {
    beginSessionWrite(sink, { ...numbers, opcode: OP.add_blocks });
    encodeBlockBatch(sink, randomBlocks(prng));
  }
}

export function randomSelector(prng: Prng): string {
  if (prng.nextChance(0.4)) return prng.pick(SELECTORS);
  let text = prng.nextChance(0.5) ? prng.pick(SELECTORS) : "{";
  for (let i = prng.nextInt(8); i >= 0; i--) {
    const at = prng.nextInt(text.length + 1);
    text = text.slice(0, at) + prng.pick(FRAGMENTS) + text.slice(at);
  }
  return text;
}

export function randomBlock(prng: Prng): BlockMeta {
  const minTimeMs = prng.pick([0, 1000, 1_700_000_000_000, -5, 2 ** 53 - 1]);
  const maxTimeMs = Math.min(minTimeMs + prng.nextInt(10_000), 2 ** 53 - 1);
  const dataset = BLOCK.datasets[0] as BlockMeta["datasets"][number];
  const datasets = Array.from({ length: prng.nextInt(4) }, () => ({
    ...dataset,
    minTimeMs,
    maxTimeMs,
    labels: prng.pick([[], [0], [1, 3, 2], [2, 3, 2, 1, 2], [1, 3, 2, 1, 3, 1]]),
  }));
  return {
    ...BLOCK,
    id: randomId(prng),
    tenant: prng.nextInt(2),
    shard: prng.pick([0, 1, 2, 0xffff_ffff]),
    compactionLevel: prng.nextInt(4),
    minTimeMs,
    maxTimeMs,
    datasets,
  };
}

function randomId(prng: Prng): string {
  const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  const time = prng.pick(["01HQZX5T8M", "01HQZX0000", "0000000000", "083ZZZZZZZ"]);
  let id = time;
  while (id.length < 26) id += prng.pick([...alphabet]);
  return id;
}

function randomBlocks(prng: Prng): BlockMeta[] {
  return Array.from({ length: 1 + prng.nextInt(4) }, () => randomBlock(prng));
}

function randomQuery(prng: Prng): Uint8Array {
  const request = {
    tenants: Array.from({ length: prng.nextInt(3) }, () => prng.pick(TENANTS)),
    startMs: prng.pick([0, -1, 1e300, Number.NaN, Number.NEGATIVE_INFINITY, 1_700_000_000_000]),
    endMs: prng.pick([0, 1e300, Number.POSITIVE_INFINITY, 1_800_000_000_000, 2000]),
    selector: randomSelector(prng),
    labels: prng.pick([[], ["service_name"], ["a", "a"], ["", "\u0000"]]),
    consistency: prng.pick(CONSISTENCIES),
    maxStalenessMs: 5,
  };
  return encoded((sink) => encodeQueryRequest(sink, request));
}

function randomList(prng: Prng): Uint8Array {
  const blocks = Array.from({ length: prng.nextInt(5) }, () =>
    prng.nextChance(0.8)
      ? randomId(prng)
      : prng.pick(["", "x", "01hqzx5t8m0000000000000001", "é".repeat(26)]),
  );
  const request = {
    tenant: prng.pick(TENANTS),
    shard: prng.nextInt(3),
    blocks,
    consistency: "strong" as const,
  };
  return encoded((sink) => encodeBlockListRequest(sink, request));
}

function randomTenant(prng: Prng): Uint8Array {
  const request = { tenant: prng.pick(TENANTS), consistency: prng.pick(CONSISTENCIES) };
  return encoded((sink) => encodeTenantRequest(sink, request));
}

/** Seldom of a tenant that others write to: what is hidden is reached by no query any more. */
function randomDeletion(prng: Prng): Uint8Array {
  if (prng.nextChance(0.02)) return randomTenant(prng);
  const tenant = prng.pick(["", "gone", "ü", "x".repeat(1024), "x".repeat(1025)]);
  return encoded((sink) => encodeTenantRequest(sink, { tenant, consistency: "strong" }));
}

function randomTenantQuestion(prng: Prng): Uint8Array {
  const tenant = prng.pick([null, ...TENANTS, 7]);
  return encoded((sink) => encodeJsonMessage(sink, JSON.stringify({ tenant })));
}

function randomQuestion(prng: Prng): Uint8Array {
  const question = prng.pick([
    '{"op":"tombstone_exists","tenant":"a","shard":1,"block":"x"}',
    '{"op":"list_tombstones","before":"2030-01-01T00:00:00Z"}',
    '{"op":"list_tombstones","before":1e308}',
    '{"op":"tombstone_exists","shard":-1}',
    '{"__proto__":{"op":"list_tombstones"}}',
    '"op"',
  ]);
  return encoded((sink) => encodeJsonMessage(sink, question));
}

function randomCommand(prng: Prng): Uint8Array {
  return encoded((sink) => {
    beginCommandRequest(sink, {
      termAtLeast: prng.nextInt(3),
      appendedAtMs: prng.nextInt(3) * 1000,
    });
    for (let i = prng.nextInt(3); i >= 0; i--) {
      if (prng.nextChance(0.3))
        appendAddBlockEntry(
          sink,
          encoded((inner) => encodeBlock(randomBlock(prng), inner)),
        );
      else appendEntry(sink, ...randomEntry(prng));
    }
  });
}

function randomEntry(prng: Prng): [number, Uint8Array] {
  const tombstones = randomTombstones(prng);
  switch (prng.nextInt(7)) {
    case 0:
      return [COMMAND.replaceBlocks, encodeCompactedBlocks(randomCompacted(prng))];
    case 1:
      return [
        COMMAND.completeJobs,
        encodeCompletedJobs([{ name: "j", compactionLevel: 1, compacted: randomCompacted(prng) }]),
      ];
    case 2:
      return [COMMAND.truncateIndex, encodeTruncateIndex({ term: prng.nextInt(3), tombstones })];
    case 3:
      return [COMMAND.deleteShard, encodeDeleteShard(randomShard(prng))];
    case 4:
      return [COMMAND.addTombstones, encodeTombstones(tombstones)];
    case 5:
      return [COMMAND.deleteTombstones, encodeTombstones(tombstones)];
    default:
      return [COMMAND.noop, new Uint8Array(0)];
  }
}

function randomCompacted(prng: Prng) {
  const blocks = [randomId(prng), randomId(prng), prng.pick(["", "not a ulid"])].slice(
    0,
    1 + prng.nextInt(3),
  );
  const source = prng.nextChance(0.9)
    ? { tenant: prng.pick(TENANTS), shard: prng.nextInt(3), blocks }
    : null;
  const newBlocks = randomBlocks(prng).map((block) => encoded((sink) => encodeBlock(block, sink)));
  return { source, newBlocks };
}

function randomShard(prng: Prng) {
  return {
    name: prng.pick(["", "s", "t"]),
    timestampNs: prng.pick([0n, 1_709_164_800_000_000_000n, -1n, 2n ** 63n - 1n]),
    durationNs: prng.pick([21_600_000_000_000n, 0n, -1n]),
    shard: prng.nextInt(3),
    tenant: prng.pick(TENANTS),
  };
}

function randomTombstones(prng: Prng) {
  return Array.from({ length: prng.nextInt(3) }, () => ({
    blocks: prng.nextChance(0.6)
      ? {
          name: prng.pick(["", "n", "m"]),
          shard: 1,
          tenant: "a",
          compactionLevel: 1,
          blocks: [randomId(prng), "x", ""],
        }
      : null,
    shard: prng.nextChance(0.5) ? randomShard(prng) : null,
  }));
}
