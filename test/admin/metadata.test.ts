import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type MetadataClient, metadataRoutes } from "../../src/admin/index.ts";
import { HearthError } from "../../src/base/index.ts";
import type { BlockMeta } from "../../src/protocol/index.ts";
import { type Answer, ask, fakeClient, type RequestParts, stream } from "./support.ts";

const BLOCK: BlockMeta = {
  formatVersion: 1,
  id: "01JKT2S01VKBSQ0NERD845XTZY",
  tenant: 1,
  shard: 3,
  compactionLevel: 2,
  minTimeMs: 1_739_263_329_280,
  maxTimeMs: 1_739_263_629_308,
  createdBy: 0,
  sizeBytes: 9_007_199_254_740_993n,
  datasets: [],
  stringTable: ["", "anonymous"],
  metadataOffset: 0n,
};

const JSON_BLOCK = {
  id: BLOCK.id,
  tenant: 1,
  shard: 3,
  minTime: "1739263329280",
  maxTime: "1739263629308",
  stringTable: ["", "anonymous"],
};

function send(
  methods: Partial<MetadataClient>,
  target: string,
  parts?: RequestParts,
): Promise<Answer> {
  return ask(metadataRoutes({ defaultTimeoutMs: 10_000 }, fakeClient(methods)), target, parts);
}

const post = (body: unknown): RequestParts => ({ body: JSON.stringify(body) });

const batch = (...blocks: readonly BlockMeta[]): never =>
  blocks.map((block) => ({ toBlockMeta: () => block })) as never;

describe("adding blocks", () => {
  async function added(body: unknown): Promise<{ answer: Answer; blocks: readonly unknown[] }> {
    let blocks: readonly unknown[] = [];
    const answer = await send(
      {
        addBlocks: async (given) => {
          blocks = given;
          return { logIndex: 42, term: 7 };
        },
      },
      "/api/v1/blocks",
      post(body),
    );
    return { answer, blocks };
  }

  it("takes one, several, or a bare block", async () => {
    for (const [body, count] of [
      [{ block: JSON_BLOCK }, 1],
      [JSON_BLOCK, 1],
      [{ blocks: [JSON_BLOCK, JSON_BLOCK] }, 2],
    ] as const) {
      const { answer, blocks } = await added(body);
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(answer.json(), { blocks: count, logIndex: 42, term: 7 });
      assert.equal(blocks.length, count);
      assert.equal((blocks[0] as BlockMeta).minTimeMs, BLOCK.minTimeMs);
    }
  });

  const bad: readonly (readonly [what: string, body: unknown, message: RegExp])[] = [
    ["an empty list", { blocks: [] }, /blocks is empty/],
    ["no list", { blocks: "x" }, /blocks must be a list/],
    ["an unknown field", { blocks: [], block: {} }, /Unknown field "block"/],
    ["a list instead of an object", [JSON_BLOCK], /must be a JSON object, not a list/],
    ["a broken block, by its position", { blocks: [JSON_BLOCK, { id: 7 }] }, /^blocks\[1\]: /],
  ];
  for (const [what, body, message] of bad) {
    it(`refuses ${what}`, async () => {
      const answer = await send({}, "/api/v1/blocks", post(body));
      assert.equal(answer.status, 400);
      assert.equal(answer.json().error.code, "invalid_argument");
      assert.match(answer.json().error.message, message);
    });
  }

  it("says where a body stops being JSON", async () => {
    const answer = await send({}, "/api/v1/blocks", { body: '{\n  "blocks": [}\n' });
    assert.equal(answer.status, 400);
    assert.match(
      answer.json().error.message,
      /^The body is not JSON: (line 2, column 14: )?Unexpected token/,
    );
  });

  it("says that a body ends too early, is empty, or is no text", async () => {
    const message = async (body: string | Uint8Array): Promise<string> =>
      (await send({}, "/api/v1/blocks", { body })).json().error.message;
    assert.match(await message('{"blocks": ['), /end of JSON|Unexpected end/i);
    assert.equal(await message(""), "The body is empty; send a JSON object");
    assert.equal(await message(new Uint8Array([0x7b, 0xff])), "The body is not valid UTF-8");
  });
});

describe("reading blocks", () => {
  it("asks for owner, shard and ids, and answers in proto3 JSON", async () => {
    let asked: unknown = null;
    const client: Partial<MetadataClient> = {
      getBlockMetadata: (params) => {
        asked = params;
        return stream(batch(BLOCK));
      },
    };
    const list = { tenant: "anonymous", shard: 3, blocks: [BLOCK.id] };
    const answer = await send(client, "/api/v1/blocks/get", post({ blocks: list }));
    assert.deepEqual(asked, list);
    const [block] = answer.json().blocks;
    assert.equal(block.id, BLOCK.id);
    assert.equal(block.size, "9007199254740993", "64-bit numbers keep every digit");
    assert.equal(block.minTime, "1739263329280");
    const single = await send(client, `/api/v1/blocks/${BLOCK.id}?tenant=anonymous&shard=3`);
    assert.deepEqual(single.json().block, block);
  });

  it("a block that is not there is 404 and says where it was looked for", async () => {
    const answer = await send(
      { getBlockMetadata: () => stream() },
      `/api/v1/blocks/${BLOCK.id}?shard=3`,
    );
    assert.equal(answer.status, 404);
    assert.equal(
      answer.json().error.message,
      `There is no block ${BLOCK.id} in shard 3 of the anonymous owner`,
    );
  });

  it("refuses a shard that is none", async () => {
    for (const shard of ["-1", "x", "4294967296", "1.5"]) {
      assert.equal(
        (await send({}, `/api/v1/blocks/${BLOCK.id}?shard=${shard}`)).status,
        400,
        shard,
      );
    }
    assert.equal((await send({}, "/api/v1/blocks/get", post({}))).status, 400);
  });
});

describe("queries", () => {
  const query = { tenantId: ["a"], startTime: "1", endTime: 2, query: "{}", labels: ["x"] };

  it("accepts names and numbers in both JSON forms", async () => {
    const asked: unknown[] = [];
    const client: Partial<MetadataClient> = {
      queryMetadata: (params) => {
        asked.push(params);
        return stream(batch(BLOCK), batch(BLOCK, BLOCK));
      },
    };
    const answer = await send(client, "/api/v1/query/blocks", post(query));
    assert.equal(answer.json().blocks.length, 3);
    const { tenantId, startTime, endTime, ...rest } = query;
    const snake = { tenant_id: tenantId, start_time: startTime, end_time: endTime, ...rest };
    await send(client, "/api/v1/query/blocks", post(snake));
    const wanted = { tenants: ["a"], selector: "{}", startAtMs: 1, endAtMs: 2, labels: ["x"] };
    assert.deepEqual(asked, [wanted, wanted]);
  });

  it("labels come as the reference's Labels", async () => {
    const rows = [[{ name: "x", value: "1" }], [{ name: "x", value: "2" }]];
    const client: Partial<MetadataClient> = { queryMetadataLabels: () => stream(rows as never) };
    const answer = await send(client, "/api/v1/query/labels", post(query));
    assert.deepEqual(answer.json(), { labels: [{ labels: rows[0] }, { labels: rows[1] }] });
  });

  const bad: readonly (readonly [body: object, message: RegExp])[] = [
    [{ ...query, startTime: "soon" }, /startTime must be a whole number, not string "soon"/],
    [{ ...query, startTime: 1.5 }, /startTime must be a whole number/],
    [{ ...query, tenantId: "a" }, /tenantId must be a list of strings/],
    [{ ...query, labels: [1] }, /labels\[0\] must be a string, not number 1/],
    [{ ...query, selector: "{}" }, /Unknown field "selector"; known are tenantId, startTime/],
  ];
  for (const [body, message] of bad) {
    it(`refuses: ${message.source}`, async () => {
      const answer = await send({}, "/api/v1/query/blocks", post(body));
      assert.equal(answer.status, 400);
      assert.match(answer.json().error.message, message);
    });
  }

  it("an error of the client keeps its code", async () => {
    const client: Partial<MetadataClient> = {
      queryMetadata: () => {
        throw new HearthError("invalid_argument", "Cannot parse the selector at column 3", {
          reason: "bad_selector",
        });
      },
    };
    const answer = await send(client, "/api/v1/query/blocks", post(query));
    assert.equal(answer.status, 400);
    assert.equal(answer.json().error.message, "Cannot parse the selector at column 3");
  });
});

describe("tenants", () => {
  it("are listed, and shown with times that keep every digit", async () => {
    const client: Partial<MetadataClient> = {
      getTenants: async () => ["a", "b/c"],
      getTenant: async (tenant) => {
        assert.equal(tenant, "b/c");
        return { dataIngested: true, oldestProfileAtMs: 1, newestProfileAtMs: 2 };
      },
    };
    assert.deepEqual((await send(client, "/api/v1/tenants")).json(), { tenantIds: ["a", "b/c"] });
    assert.deepEqual((await send(client, "/api/v1/tenants/b%2Fc")).json(), {
      stats: { dataIngested: true, oldestProfileTime: "1", newestProfileTime: "2" },
    });
  });
});

describe("options of a request", () => {
  async function options(target: string): Promise<unknown> {
    let given: Record<string, unknown> = {};
    const answer = await send(
      {
        getTenants: async (read) => {
          given = { timeoutMs: read?.timeoutMs, consistency: read?.consistency };
          return [];
        },
      },
      target,
    );
    return answer.status === 200 ? given : answer.json().error.message;
  }

  it("time budget and consistency are passed on", async () => {
    assert.deepEqual(await options("/api/v1/tenants"), {
      timeoutMs: 10_000,
      consistency: "strong",
    });
    assert.deepEqual(await options("/api/v1/tenants?timeout=2s&consistency=local"), {
      timeoutMs: 2_000,
      consistency: "local",
    });
  });

  it("wrong ones are refused", async () => {
    assert.equal(
      await options("/api/v1/tenants?timeout=2"),
      "timeout: 2 has no unit. Write 2s, 2m or 2h",
    );
    assert.equal(
      await options("/api/v1/tenants?timeout=1h"),
      "timeout: 1h is not between 1ms and 5m",
    );
    assert.equal(
      await options("/api/v1/tenants?timeout=0s"),
      "timeout: 0s is not between 1ms and 5m",
    );
    assert.equal(
      await options("/api/v1/tenants?consistency=weak"),
      'consistency: "weak" is neither strong nor local',
    );
  });

  it("a node that does not serve yet says so with 503", async () => {
    const answer = await ask(
      metadataRoutes({ defaultTimeoutMs: 1 }, () => null),
      "/api/v1/tenants",
    );
    assert.equal(answer.status, 503);
    assert.equal(answer.json().error.next, "GET /ready says what it is doing");
    assert.equal(answer.headers["retry-after"], "1");
  });
});
