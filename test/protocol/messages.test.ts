import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteBuffer } from "flatbuffers";
import { HearthError, isHearthError, tryDecodeUlid, ULID_BYTES } from "../../src/base/index.ts";
import {
  BlockListRequest as GeneratedBlockList,
  Consistency as GeneratedConsistency,
  ErrorReply,
  Hello as GeneratedHello,
  HelloReply as GeneratedHelloReply,
  JsonMessage,
  LeaderNotice as GeneratedNotice,
  QueryRequest as GeneratedQuery,
  TenantReply as GeneratedTenantReply,
  TenantRequest as GeneratedTenantRequest,
  TenantsReply as GeneratedTenantsReply,
  WriteReply as GeneratedWriteReply,
} from "../../src/protocol/gen/wire.ts";
import {
  type BlockIdsRequest,
  type BlockListRequest,
  ByteSink,
  decodeBlockListRequest,
  decodeErrorReply,
  decodeHello,
  decodeHelloReply,
  decodeJsonMessage,
  decodeLeaderNotice,
  decodeQueryRequest,
  decodeTenantReply,
  decodeTenantRequest,
  decodeTenantsReply,
  decodeWriteReply,
  encodeBlockListRequest,
  encodeErrorReply,
  encodeHello,
  encodeHelloReply,
  encodeJsonMessage,
  encodeLeaderNotice,
  encodeQueryRequest,
  encodeTenantReply,
  encodeTenantRequest,
  encodeTenantsReply,
  encodeWriteReply,
  LIMITS,
  type QueryRequest,
} from "../../src/protocol/index.ts";

const QUERY: QueryRequest = {
  tenants: ["acme", "größe", ""],
  startMs: 1_721_060_035_611,
  endMs: 1_721_060_095_611,
  selector: '{service_name="api"}',
  labels: ["service_name", "__profile_type__"],
  consistency: "bounded",
  maxStalenessMs: 250,
};

const BLOCK_LIST: BlockListRequest = {
  tenant: "acme",
  shard: 4_294_967_295,
  blocks: ["01J2VJR31PT3X4NDJC4Q2BHWQ1", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"],
  consistency: "strong",
};

/** The request as its receiver has it. */
function idsOf({ blocks, ...rest }: BlockListRequest): BlockIdsRequest {
  const ids = new Uint8Array(blocks.length * ULID_BYTES);
  for (const [i, block] of blocks.entries()) assert.ok(tryDecodeUlid(block, ids, i * ULID_BYTES));
  return { ...rest, ids };
}

function encoded(encode: (sink: ByteSink) => number): Uint8Array {
  // At an offset behind a frame header, as in use.
  const sink = new ByteSink(16);
  sink.append(new Uint8Array(16).fill(255));
  const length = encode(sink);
  assert.equal(sink.length, 16 + length);
  assert.equal(length % 8, 0);
  return sink.copy(16);
}

function refused(reason: string): (error: unknown) => boolean {
  return (error) =>
    isHearthError(error) && error.code === "invalid_argument" && error.reason === reason;
}

test("requests survive encoding and decoding", () => {
  const bytes = encoded((sink) => encodeQueryRequest(sink, QUERY));
  assert.deepEqual(decodeQueryRequest(bytes), QUERY);
  const list = encoded((sink) => encodeBlockListRequest(sink, BLOCK_LIST));
  assert.deepEqual(decodeBlockListRequest(list), idsOf(BLOCK_LIST));
  const tenant = { tenant: "acme", consistency: "local" } as const;
  const tenantBytes = encoded((sink) => encodeTenantRequest(sink, tenant));
  assert.deepEqual(decodeTenantRequest(tenantBytes), tenant);
  const hello = {
    protocolMin: 1,
    protocolMax: 3,
    name: "frontend-7",
    role: "query-frontend",
    dictionaryMaxBytes: 70_000,
    wantsLeader: true,
    bundleMaxBytes: 65_536,
  };
  const helloBytes = encoded((sink) => encodeHello(sink, hello));
  assert.deepEqual(decodeHello(helloBytes), hello);
});

test("empty requests survive encoding and decoding", () => {
  const query: QueryRequest = {
    tenants: [],
    startMs: 0,
    endMs: 0,
    selector: "",
    labels: [],
    consistency: "strong",
    maxStalenessMs: 0,
  };
  assert.deepEqual(decodeQueryRequest(encoded((sink) => encodeQueryRequest(sink, query))), query);
});

test("replies survive encoding and decoding", () => {
  const hello = {
    protocol: 1,
    nodeId: "hearth-0",
    clusterId: "c",
    version: "0.1.0",
    frameMaxBytes: LIMITS.frameMaxBytes,
    inFlightMax: 1024,
    chunkMaxBytes: 262_144,
    dictionaryMaxBytes: 1 << 20,
    leader: { id: "hearth-1", address: "hearth-1.größe:4041", term: 2 ** 53 - 1 },
    bundleMaxBytes: 0xffff_ffff,
  };
  assert.deepEqual(decodeHelloReply(encoded((sink) => encodeHelloReply(sink, hello))), hello);
  const alone = { ...hello, leader: null };
  assert.deepEqual(decodeHelloReply(encoded((sink) => encodeHelloReply(sink, alone))), alone);
  const notice = encoded((sink) => encodeLeaderNotice(sink, hello.leader));
  assert.deepEqual(decodeLeaderNotice(notice), hello.leader);
  const write = { logIndex: 2 ** 53 - 1, term: 7 };
  assert.deepEqual(decodeWriteReply(encoded((sink) => encodeWriteReply(sink, write))), write);
  const tenant = {
    dataIngested: true,
    oldestProfileTimeMs: -5,
    newestProfileTimeMs: 1_721_060_095_611,
    appliedIndex: 3,
  };
  assert.deepEqual(decodeTenantReply(encoded((sink) => encodeTenantReply(sink, tenant))), tenant);
  const tenants = { tenants: ["acme", "größe", "x".repeat(300)], appliedIndex: 4 };
  const tenantsBytes = encoded((sink) => encodeTenantsReply(sink, tenants));
  assert.deepEqual(decodeTenantsReply(tenantsBytes), tenants);
  const none = { tenants: [], appliedIndex: 0 };
  assert.deepEqual(decodeTenantsReply(encoded((sink) => encodeTenantsReply(sink, none))), none);
  const json = '{"node":"größe"}';
  assert.equal(decodeJsonMessage(encoded((sink) => encodeJsonMessage(sink, json))), json);
});

test("the generated accessors read the requests", () => {
  const query = GeneratedQuery.getRootAsQueryRequest(
    new ByteBuffer(encoded((sink) => encodeQueryRequest(sink, QUERY))),
  );
  assert.equal(query.tenantsLength(), 3);
  assert.equal(query.tenants(1), "größe");
  assert.equal(query.startTimeMs(), QUERY.startMs);
  assert.equal(query.endTimeMs(), QUERY.endMs);
  assert.equal(query.selector(), QUERY.selector);
  assert.equal(query.labels(1), "__profile_type__");
  assert.equal(query.consistency(), GeneratedConsistency.Bounded);
  assert.equal(query.maxStalenessMs(), 250);
  const list = GeneratedBlockList.getRootAsBlockListRequest(
    new ByteBuffer(encoded((sink) => encodeBlockListRequest(sink, BLOCK_LIST))),
  );
  assert.equal(list.tenant(), "acme");
  assert.equal(list.shard(), 4_294_967_295);
  assert.equal(list.blocks(1), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
  const tenantBytes = encoded((sink) =>
    encodeTenantRequest(sink, { tenant: "acme", consistency: "local" }),
  );
  const tenant = GeneratedTenantRequest.getRootAsTenantRequest(new ByteBuffer(tenantBytes));
  assert.equal(tenant.tenant(), "acme");
  assert.equal(tenant.consistency(), GeneratedConsistency.Local);
  const hello = GeneratedHello.getRootAsHello(
    new ByteBuffer(
      encoded((sink) =>
        encodeHello(sink, {
          protocolMin: 1,
          protocolMax: 2,
          name: "n",
          role: "tool",
          dictionaryMaxBytes: 9,
          wantsLeader: true,
          bundleMaxBytes: 10,
        }),
      ),
    ),
  );
  assert.deepEqual(
    [
      hello.protocolMin(),
      hello.protocolMax(),
      hello.name(),
      hello.role(),
      hello.dictionaryMaxBytes(),
      hello.wantsLeader(),
      hello.bundleMaxBytes(),
    ],
    [1, 2, "n", "tool", 9, true, 10],
  );
});

test("the generated accessors read the replies", () => {
  const hello = GeneratedHelloReply.getRootAsHelloReply(
    new ByteBuffer(
      encoded((sink) =>
        encodeHelloReply(sink, {
          protocol: 1,
          nodeId: "a",
          clusterId: "b",
          version: "c",
          frameMaxBytes: 1,
          inFlightMax: 2,
          chunkMaxBytes: 3,
          dictionaryMaxBytes: 4,
          leader: { id: "d", address: "e", term: 5 },
          bundleMaxBytes: 6,
        }),
      ),
    ),
  );
  assert.deepEqual(
    [hello.protocol(), hello.nodeId(), hello.clusterId(), hello.version()],
    [1, "a", "b", "c"],
  );
  assert.deepEqual([hello.leaderId(), hello.leaderAddress(), hello.leaderTerm()], ["d", "e", 5]);
  const notice = GeneratedNotice.getRootAsLeaderNotice(
    new ByteBuffer(encoded((sink) => encodeLeaderNotice(sink, { id: "d", address: "e", term: 5 }))),
  );
  assert.deepEqual([notice.leaderId(), notice.leaderAddress(), notice.leaderTerm()], ["d", "e", 5]);
  assert.deepEqual(
    [
      hello.frameMaxBytes(),
      hello.inFlightMax(),
      hello.chunkMaxBytes(),
      hello.dictionaryMaxBytes(),
      hello.bundleMaxBytes(),
    ],
    [1, 2, 3, 4, 6],
  );
  const write = GeneratedWriteReply.getRootAsWriteReply(
    new ByteBuffer(encoded((sink) => encodeWriteReply(sink, { logIndex: 12, term: 3 }))),
  );
  assert.deepEqual([write.logIndex(), write.term()], [12, 3]);
  const tenantBytes = encoded((sink) =>
    encodeTenantReply(sink, {
      dataIngested: true,
      oldestProfileTimeMs: 1,
      newestProfileTimeMs: 2,
      appliedIndex: 3,
    }),
  );
  const tenant = GeneratedTenantReply.getRootAsTenantReply(new ByteBuffer(tenantBytes));
  assert.deepEqual(
    [tenant.dataIngested(), tenant.oldestProfileTimeMs(), tenant.newestProfileTimeMs()],
    [true, 1, 2],
  );
  const tenantsBytes = encoded((sink) =>
    encodeTenantsReply(sink, { tenants: ["ab", "c"], appliedIndex: 9 }),
  );
  const tenants = GeneratedTenantsReply.getRootAsTenantsReply(new ByteBuffer(tenantsBytes));
  assert.deepEqual([...(tenants.stringEndsArray() ?? [])], [2, 3]);
  assert.equal(Buffer.from(tenants.stringBytesArray() ?? []).toString(), "abc");
  assert.equal(tenants.appliedIndex(), 9);
  const json = JsonMessage.getRootAsJsonMessage(
    new ByteBuffer(encoded((sink) => encodeJsonMessage(sink, "{}"))),
  );
  assert.equal(json.json(), "{}");
});

test("an error keeps what a client needs to decide", () => {
  const error = new HearthError("unavailable", "Cannot accept block: not the leader", {
    reason: "not_leader",
    next: "Ask the leader",
    retryAfterMs: 12.5,
    leader: { id: "hearth-1", address: "10.0.0.1:4041" },
  });
  const bytes = encoded((sink) => encodeErrorReply(sink, error));
  const decoded = decodeErrorReply(bytes);
  assert.equal(decoded.code, "unavailable");
  assert.equal(decoded.message, error.message);
  assert.equal(decoded.reason, "not_leader");
  assert.equal(decoded.next, "Ask the leader");
  assert.equal(decoded.retryAfterMs, 13);
  assert.deepEqual(decoded.leader, error.leader);
  assert.equal(decoded.sent, "yes");
  const generated = ErrorReply.getRootAsErrorReply(new ByteBuffer(bytes));
  assert.equal(generated.code(), 14);
  assert.equal(generated.leaderId(), "hearth-1");
});

test("an error without details has none after the wire", () => {
  const bytes = encoded((sink) => encodeErrorReply(sink, new HearthError("internal", "")));
  const decoded = decodeErrorReply(bytes);
  assert.equal(decoded.reason, "internal");
  assert.equal(decoded.leader, null);
  assert.equal(decoded.next, null);
  assert.equal(decoded.retryAfterMs, null);
});

test("over-long texts of an error are cut, not refused", () => {
  const error = new HearthError("internal", "ü".repeat(100_000));
  const decoded = decodeErrorReply(encoded((sink) => encodeErrorReply(sink, error)));
  assert.ok(decoded.message.startsWith("üü"));
  assert.ok(decoded.message.length < 100_000);
});

test("times beyond the range of data mean no bound; no number is refused", () => {
  const far = { ...QUERY, startMs: Number.NEGATIVE_INFINITY, endMs: 2 ** 63 };
  const decoded = decodeQueryRequest(encoded((sink) => encodeQueryRequest(sink, far)));
  assert.equal(decoded.startMs, -(2 ** 53));
  assert.equal(decoded.endMs, 2 ** 53);
  const nan = encoded((sink) => encodeQueryRequest(sink, { ...QUERY, endMs: Number.NaN }));
  assert.throws(() => decodeQueryRequest(nan), refused("bad_time"));
});

test("requests just over a limit are refused, just under it accepted", () => {
  const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `n${i}`);
  const cases: readonly (readonly [string, Partial<QueryRequest>, Partial<QueryRequest>])[] = [
    [
      "too_many_elements",
      { tenants: names(LIMITS.tenantsPerQueryMax) },
      { tenants: names(LIMITS.tenantsPerQueryMax + 1) },
    ],
    [
      "too_many_elements",
      { labels: names(LIMITS.labelNamesMax) },
      { labels: names(LIMITS.labelNamesMax + 1) },
    ],
    [
      "string_too_long",
      { tenants: ["t".repeat(LIMITS.tenantMaxBytes)] },
      { tenants: ["t".repeat(LIMITS.tenantMaxBytes + 1)] },
    ],
    [
      "string_too_long",
      { selector: "s".repeat(LIMITS.selectorMaxBytes) },
      { selector: "s".repeat(LIMITS.selectorMaxBytes + 1) },
    ],
    [
      "string_too_long",
      { labels: ["l".repeat(LIMITS.labelNameMaxBytes)] },
      { labels: ["l".repeat(LIMITS.labelNameMaxBytes + 1)] },
    ],
  ];
  for (const [reason, accepted, over] of cases) {
    const good = encoded((sink) => encodeQueryRequest(sink, { ...QUERY, ...accepted }));
    decodeQueryRequest(good);
    const bad = encoded((sink) => encodeQueryRequest(sink, { ...QUERY, ...over }));
    assert.throws(() => decodeQueryRequest(bad), refused(reason), reason);
  }
  const ids = (count: number): BlockListRequest => ({
    ...BLOCK_LIST,
    blocks: new Array<string>(count).fill(BLOCK_LIST.blocks[0] as string),
  });
  decodeBlockListRequest(
    encoded((sink) => encodeBlockListRequest(sink, ids(LIMITS.idsPerListMax))),
  );
  const over = encoded((sink) => encodeBlockListRequest(sink, ids(LIMITS.idsPerListMax + 1)));
  assert.throws(() => decodeBlockListRequest(over), refused("too_many_elements"));
});

test("block ids that are no canonical ULIDs are refused", () => {
  const good = BLOCK_LIST.blocks[0] as string;
  const bad = ["", "x", good.slice(1), `${good}0`, good.toLowerCase(), `8${good.slice(1)}`];
  for (let i = 0; i < good.length; i++) bad.push(`${good.slice(0, i)}U${good.slice(i + 1)}`);
  for (const id of [...bad, "é".repeat(13), "a".repeat(1_000)]) {
    const request = { ...BLOCK_LIST, blocks: [good, id] };
    const bytes = encoded((sink) => encodeBlockListRequest(sink, request));
    assert.throws(() => decodeBlockListRequest(bytes), refused("bad_block_id"), id);
  }
});

test("a tenant is read from its own bytes, whatever was read before", () => {
  for (const tenant of ["acme", "acmf", "acm", "", "größe", "acme", "a".repeat(100), "acme"]) {
    const bytes = encoded((sink) => encodeBlockListRequest(sink, { ...BLOCK_LIST, tenant }));
    assert.equal(decodeBlockListRequest(bytes).tenant, tenant);
  }
});

test("an unknown consistency is refused", () => {
  const bytes = encoded((sink) => encodeQueryRequest(sink, QUERY));
  const table = GeneratedQuery.getRootAsQueryRequest(new ByteBuffer(bytes));
  bytes[table.bb_pos + 4 + 8 * 5] = 9;
  assert.throws(() => decodeQueryRequest(bytes), refused("bad_consistency"));
});

test("a text that is not UTF-8 is refused", () => {
  const bytes = encoded((sink) => encodeJsonMessage(sink, "abcdefgh"));
  bytes[Buffer.from(bytes).indexOf("abcdefgh") + 3] = 0xff;
  assert.throws(() => decodeJsonMessage(bytes), refused("string_not_utf8"));
});

test("mutated requests give an error or values, never anything else", () => {
  const good = encoded((sink) => encodeQueryRequest(sink, QUERY));
  let refusals = 0;
  for (let offset = 0; offset < good.length; offset++) {
    for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
      const bytes = good.slice();
      bytes[offset] = value;
      try {
        decodeQueryRequest(bytes);
      } catch (error) {
        assert.ok(isHearthError(error), `byte ${offset} = ${value}: ${String(error)}`);
        refusals++;
      }
    }
  }
  assert.ok(refusals > 50, `${refusals} refused`);
  for (let length = 0; length < good.length - 8; length++) {
    assert.throws(() => decodeQueryRequest(good, 0, length), isHearthError, `${length} bytes`);
  }
});
