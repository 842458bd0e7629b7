/** What the commands of compaction print of what nodes answer. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hearth, withNode } from "./support.ts";

const POLICY = {
  levels: [{ maxBlocks: 20, maxAgeMs: 36_000 }],
  leaseMs: 15_000,
  failuresMax: 3,
  jobsMax: 10_000,
  requeueDelayMs: 600_000,
  exhaustedDelayMs: 86_400_000,
  cleanupBatchSize: 2,
  cleanupDelayMs: 900_000,
  cleanupMinLevel: 0,
  cleanupMaxLevel: 1,
  tenants: {},
  pausedLevels: [],
  pausedTenants: [],
};

const asOf = "2026-11-22T10:24:55.112Z";

describe("hearth compaction policy", () => {
  const after = {
    ...POLICY,
    leaseMs: 30_000,
    failuresMax: 5,
    tenants: { acme: { levels: [{ maxBlocks: 20, maxAgeMs: 20_000 }] } },
  };

  it("says of each setting what it was and what it is", async () => {
    const answer = { asOf, dryRun: false, changed: true, logIndex: 15, term: 2 };
    await withNode(
      () => ({ body: { ...answer, before: POLICY, after } }),
      async ({ endpoint }) => {
        const said = await hearth([
          "compaction",
          "policy",
          "set",
          "lease=30s",
          "--endpoint",
          endpoint,
        ]);
        assert.equal(said.code, 0);
        assert.deepEqual(said.out.split("\n"), [
          "the policy is changed from log index 15 on",
          "SETTING                   BEFORE  AFTER",
          "lease                        15s    30s",
          "failures-max                   3      5",
          "acme: level.0.max-blocks       -     20",
          "acme: level.0.max-age          -    20s",
          "nothing is paused",
        ]);
      },
    );
  });

  it("prints the same plan with --dry-run", async () => {
    const answer = { asOf, dryRun: true, changed: true, logIndex: null, term: null };
    await withNode(
      () => ({ body: { ...answer, before: POLICY, after } }),
      async ({ endpoint }) => {
        const argv = ["compaction", "policy", "set", "lease=30s", "--dry-run"];
        const { out } = await hearth([...argv, "--endpoint", endpoint]);
        assert.match(out, /^dry run: the policy would be changed\nSETTING .*\nlease +15s +30s\n/);
      },
    );
  });

  it("prints no table of a pause, nor of a first policy", async () => {
    const answer = { asOf, dryRun: false, changed: true, logIndex: 15, term: 2 };
    const paused = { ...POLICY, pausedLevels: [1] };
    for (const before of [POLICY, null]) {
      await withNode(
        () => ({ body: { ...answer, before, after: paused } }),
        async ({ endpoint }) => {
          const argv = ["compaction", "pause", "--level", "1", "--endpoint", endpoint];
          const { out } = await hearth(argv);
          assert.equal(out, "the policy is changed from log index 15 on\nPAUSED: level 1");
        },
      );
    }
  });
});

it("hearth job retry shows what the jobs were, and a dry run what they are", async () => {
  const job = {
    name: "ffba6b12acb007e6-T-S3-L0",
    tenant: "",
    shard: 3,
    level: 0,
    status: "exhausted",
    blocks: 20,
    tombstones: 0,
    token: 7,
    leaseMs: 0,
    failures: 3,
    worker: null,
    reason: null,
    addedAtMs: Date.parse(asOf) - 9_000,
  };
  await withNode(
    ({ body }) => {
      const { dryRun } = JSON.parse(body) as { dryRun: boolean };
      const changed = { changed: true, logIndex: dryRun ? null : 15, term: 2, missing: [] };
      return { body: { asOf, dryRun, ...changed, jobs: [job] } };
    },
    async ({ endpoint }) => {
      const argv = ["job", "retry", job.name, "--endpoint", endpoint];
      assert.match(
        (await hearth(argv)).out,
        /^retried 1 job at log index 15\nJOB .* WAS .*\n.* exhausted /,
      );
      assert.match((await hearth([...argv, "--dry-run"])).out, /^dry run: .*\nJOB .* STATUS /);
    },
  );
});
