import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { encodeBlockMetaProto } from "../../src/protocol/index.ts";
import { LOAD_DEFAULTS, LoadGenerator } from "../../src/cli/load/index.ts";
import { inRoot } from "../support/project.ts";
import { hearth, NOW_MS, withNode } from "./support.ts";

const BLOCK = {
  id: "01JKT2S01VKBSQ0NERD845XTZY",
  tenant: 1,
  shard: 3,
  compactionLevel: 2,
  minTime: "1739263329280",
  maxTime: "1739263629308",
  size: "262144",
  datasets: [
    { tenant: 1, name: 2, labels: [1, 3, 2, 2, 3, 2, 4, 5] },
    { tenant: 1, format: 1 },
  ],
  stringTable: ["", "anonymous", "pyroscope", "service_name", "type", "cpu"],
};

describe("queries", () => {
  it("ask with the range and the names given, and print a table", async () => {
    await withNode(
      () => ({ body: { blocks: [BLOCK] } }),
      async ({ endpoint, received }) => {
        const argv = [
          "query",
          "blocks",
          '{service_name="x"}',
          "--tenant",
          "a",
          "--tenant",
          "b",
          "--from",
          "now-2h",
        ];
        const said = await hearth([...argv, "--endpoint", endpoint]);
        assert.equal(said.code, 0, said.talk);
        assert.deepEqual(JSON.parse(received[0]?.body ?? ""), {
          tenantId: ["a", "b"],
          startTime: String(NOW_MS - 7_200_000),
          endTime: String(NOW_MS),
          query: '{service_name="x"}',
          labels: [],
        });
        assert.equal(received[0]?.url, "/api/v1/query/blocks?timeout=5000ms");
        assert.equal(
          said.out,
          [
            "BLOCK                       TENANT     SHARD  LEVEL  FROM                  TO                       SIZE  DATASETS",
            "01JKT2S01VKBSQ0NERD845XTZY  anonymous      3      2  2025-02-11T08:42:09Z  2025-02-11T08:47:09Z  256 KiB  pyroscope, (tenant index)",
          ].join("\n"),
        );
        assert.equal(said.talk, "1 block");
      },
    );
  });

  it("with --labels print one row per label set", async () => {
    await withNode(
      () => ({ body: { blocks: [BLOCK] } }),
      async ({ endpoint, received }) => {
        const argv = [
          "query",
          "blocks",
          "{}",
          "--tenant",
          "a",
          "--labels",
          "service_name, type",
          "--labels=x",
        ];
        const said = await hearth([...argv, "--endpoint", endpoint, "--quiet"]);
        assert.deepEqual(JSON.parse(received[0]?.body ?? "").labels, ["service_name", "type", "x"]);
        assert.equal(
          said.out,
          [
            "BLOCK                       TENANT     DATASET    LABELS",
            '01JKT2S01VKBSQ0NERD845XTZY  anonymous  pyroscope  {service_name="pyroscope"}',
            '01JKT2S01VKBSQ0NERD845XTZY  anonymous  pyroscope  {service_name="pyroscope", type="cpu"}',
          ].join("\n"),
        );
        assert.equal(said.talk, "");
      },
    );
  });

  it("with --json print one versioned object and nothing else", async () => {
    await withNode(
      () => ({ body: { blocks: [BLOCK] } }),
      async ({ endpoint }) => {
        const argv = ["query", "blocks", "{}", "--tenant", "a", "--json", "--endpoint", endpoint];
        const said = await hearth(argv);
        assert.deepEqual(JSON.parse(said.out), {
          schema: "hearth/block-list/v1",
          asOf: "2026-11-22T10:24:55.000Z",
          endpoint,
          blocks: [BLOCK],
        });
        assert.equal(said.talk, "");
      },
    );
  });

  it("an error of the node keeps its words; a bad selector is misuse", async () => {
    const error = {
      code: "invalid_argument",
      message: "Cannot parse the selector",
      next: "See the grammar",
      leader: null,
      requestId: "r",
    };
    await withNode(
      () => ({ status: 400, body: { error } }),
      async ({ endpoint }) => {
        const argv = ["query", "blocks", "{", "--tenant", "a", "--endpoint", endpoint];
        const said = await hearth(argv);
        assert.equal(said.code, 2);
        assert.equal(said.talk, "hearth: Cannot parse the selector\n  next   See the grammar");
        assert.deepEqual(JSON.parse((await hearth([...argv, "--json"])).talk), { error });
      },
    );
  });

  it("labels are columns, and what has no value is a dash", async () => {
    const labels = [
      {
        labels: [
          { name: "service_name", value: "a" },
          { name: "type", value: "" },
        ],
      },
      {
        labels: [
          { name: "service_name", value: "bb" },
          { name: "type", value: "cpu" },
        ],
      },
    ];
    await withNode(
      () => ({ body: { labels } }),
      async ({ endpoint }) => {
        const argv = [
          "query",
          "labels",
          "{}",
          "--tenant",
          "a",
          "--labels",
          "service_name,type",
          "--endpoint",
          endpoint,
        ];
        assert.equal(
          (await hearth(argv)).out,
          "service_name  type\na             -\nbb            cpu",
        );
      },
    );
  });
});

describe("blocks and tenants", () => {
  it("block get exits with 4 when an id is not there", async () => {
    await withNode(
      () => ({ body: { blocks: [BLOCK] } }),
      async ({ endpoint, received }) => {
        const found = await hearth([
          "block",
          "get",
          BLOCK.id,
          "--tenant",
          "anonymous",
          "--shard",
          "3",
          "--endpoint",
          endpoint,
        ]);
        assert.equal(found.code, 0);
        assert.deepEqual(JSON.parse(received[0]?.body ?? ""), {
          blocks: { tenant: "anonymous", shard: 3, blocks: [BLOCK.id] },
        });
        const missing = await hearth([
          "block",
          "get",
          BLOCK.id,
          "OTHER",
          "--endpoint",
          endpoint,
          "--json",
        ]);
        assert.equal(missing.code, 4);
        assert.deepEqual(JSON.parse(missing.out).missing, ["OTHER"]);
      },
    );
  });

  it("tenants are one name per line; one that has no data has dashes", async () => {
    await withNode(
      ({ url }) =>
        url.startsWith("/api/v1/tenants?")
          ? { body: { tenantIds: ["a", "b/c"] } }
          : {
              body: {
                stats: { dataIngested: false, oldestProfileTime: "0", newestProfileTime: "0" },
              },
            },
      async ({ endpoint, received }) => {
        assert.equal((await hearth(["tenant", "list", "--endpoint", endpoint])).out, "a\nb/c");
        const shown = await hearth(["tenant", "show", "b/c", "--endpoint", endpoint]);
        assert.equal(shown.out, "tenant  b/c\noldest  -\nnewest  -");
        assert.equal(received[1]?.url, "/api/v1/tenants/b%2Fc?timeout=5000ms");
      },
    );
  });
});

describe("adding files", () => {
  let directory = "";
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "hearth-cli-"));
    const generator = new LoadGenerator({
      ...LOAD_DEFAULTS,
      blockCount: 1_200,
      startAtMs: NOW_MS - 1_000,
      endAtMs: NOW_MS,
    });
    for (let i = 0; i < 1_200; i++) {
      writeFileSync(join(directory, `${i}.meta.pb`), encodeBlockMetaProto(generator.block(i)));
    }
    writeFileSync(join(directory, "notes.txt"), "not ours");
  });
  after(() => rmSync(directory, { recursive: true }));

  it("sends bounded requests with every block once", async () => {
    await withNode(
      () => ({ body: { blocks: 1, logIndex: 1, term: 1 } }),
      async ({ endpoint, received }) => {
        const said = await hearth(["block", "add", directory, "--endpoint", endpoint]);
        assert.equal(said.code, 0, said.talk);
        assert.equal(said.out, "added 1,200 blocks from 1,200 of 1,200 files");
        const counts = received.map(
          ({ body }) => (JSON.parse(body) as { blocks: unknown[] }).blocks.length,
        );
        assert.deepEqual(counts, [500, 500, 200]);
        const ids = received.flatMap(({ body }) =>
          (JSON.parse(body) as { blocks: { id: string }[] }).blocks.map(({ id }) => id),
        );
        assert.equal(new Set(ids).size, 1_200);
      },
    );
  });

  it("reads the real files: protobuf, whole objects with their checksum, and JSON", async () => {
    await withNode(
      () => ({ body: { blocks: 1, logIndex: 1, term: 1 } }),
      async ({ endpoint }) => {
        const argv = [
          "block",
          "add",
          inRoot("examples", "blocks"),
          "--endpoint",
          endpoint,
          "--json",
        ];
        assert.deepEqual(JSON.parse((await hearth(argv)).out), {
          schema: "hearth/block-add/v1",
          dryRun: false,
          files: 9,
          blocks: 16,
          repeated: 2,
          failed: [],
        });
      },
    );
  });

  it("a broken file is named, the others are added, and the exit code says so", async () => {
    const bad = mkdtempSync(join(tmpdir(), "hearth-cli-"));
    try {
      writeFileSync(join(bad, "a.meta.pb"), Buffer.from([0xff, 0xff]));
      writeFileSync(join(bad, "b.block.bin"), Buffer.alloc(64));
      writeFileSync(join(bad, "c.json"), "{ nonsense");
      writeFileSync(
        join(bad, "d.json"),
        JSON.stringify({ blocks: [{ id: BLOCK.id, shard: "x" }] }),
      );
      writeFileSync(join(bad, "e.block.bin"), "");
      writeFileSync(join(bad, "f.json"), JSON.stringify(BLOCK));
      const said = await hearth(["block", "add", bad, "--dry-run"]);
      assert.equal(said.code, 1);
      assert.equal(said.out, "would add 1 block from 1 of 6 files");
      const named = said.talk.split("\n").map((line) => line.slice(bad.length + 1).split(":")[0]);
      assert.deepEqual(named, ["a.meta.pb", "b.block.bin", "c.json", "d.json", "e.block.bin"]);
    } finally {
      rmSync(bad, { recursive: true });
    }
  });

  it("a file of another kind, and a directory without any, are told apart", async () => {
    const named = await hearth(["block", "add", join(directory, "notes.txt")]);
    assert.equal(named.code, 2);
    assert.match(named.talk, /its name is none of \*\.meta\.pb, \*\.block\.bin, \*\.json/);
    const empty = mkdtempSync(join(tmpdir(), "hearth-cli-"));
    const said = await hearth(["block", "add", empty]);
    rmSync(empty, { recursive: true });
    assert.equal(said.code, 1);
    assert.match(said.talk, /next {3}Files are named/);
  });
});
