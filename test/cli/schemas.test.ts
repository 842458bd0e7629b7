/** What programs are given: every JSON object of the cluster commands is what its schema says, in good times and bad. */

import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { COMMANDS } from "../../src/cli/commands/catalog.ts";
import type { FakeCluster } from "../support/fake-cluster.ts";
import { assertMatchesItsSchema, problemsOf, schemaPath } from "../support/json-schema.ts";
import { inRoot } from "../support/project.ts";
import { withCluster } from "./cluster-support.ts";

const COMMAND_LINES: readonly (readonly string[])[] = [
  ["status"],
  ["member", "list"],
  ["member", "add", "hearth-3=10.0.3.8:9099", "--dry-run"],
  ["member", "promote", "hearth-2"],
  ["member", "remove", "hearth-2", "--yes"],
  ["leader", "show"],
  ["leader", "transfer"],
  ["snapshot", "list"],
  ["snapshot", "take", "--dry-run"],
];

const SITUATIONS: readonly (readonly [name: string, arrange: (cluster: FakeCluster) => void])[] = [
  ["a healthy cluster", () => {}],
  ["a member is down", (cluster) => cluster.loseMember("hearth-2", 5_000)],
  [
    "nobody leads",
    (cluster) => {
      cluster.leaderId = null;
      cluster.loseMember("hearth-1", 5_000);
    },
  ],
];

describe("JSON schemas", () => {
  for (const [situation, arrange] of SITUATIONS) {
    for (const argv of COMMAND_LINES) {
      it(`${situation}: hearth ${argv.join(" ")} --json prints what its schema says`, async () => {
        await withCluster(async ({ run, cluster }) => {
          arrange(cluster);
          const { out, talk } = await run(...argv, "--json");
          assert.notEqual(out, "", talk);
          for (const line of out.split("\n")) assertMatchesItsSchema(line);
        });
      });
    }
  }

  it("each command of these groups has one", () => {
    const groups = ["status", "leader", "snapshot", "job", "compaction"];
    groups.push("activity", "placement", "retention", "dlq", "index");
    const specs = COMMANDS.filter(({ path }) => groups.includes(path[0] ?? ""));
    const changesTenants = ["delete", "deletions", "open"];
    specs.push(
      ...COMMANDS.filter(
        ({ path: [group, verb = ""] }) => group === "tenant" && changesTenants.includes(verb),
      ),
    );
    assert.ok(specs.length > groups.length);
    for (const { path, schema } of specs)
      if (schema !== undefined) assert.ok(existsSync(schemaPath(schema)), path.join(" "));
  });

  it("each file belongs to a command", () => {
    const named = COMMANDS.map(({ schema }) => schema?.replace("hearth/", "").replace("/", "."));
    // `compaction policy show`, whose other verbs print what they changed.
    named.push("compaction-policy.v1");
    for (const file of readdirSync(inRoot("schemas", "json")))
      assert.ok(named.includes(file.replace(".json", "")), file);
  });

  it("what is missing, of another type or unknown is found", () => {
    const schema = {
      type: "object",
      properties: { a: { type: ["integer", "null"] }, b: { enum: ["x"] } },
      required: ["a", "b"],
      additionalProperties: false,
    } as const;
    assert.deepEqual(problemsOf({ a: null, b: "x" }, schema, "$"), []);
    assert.deepEqual(problemsOf({ a: 1.5, b: "x" }, schema, "$"), [
      "$.a is 1.5, not integer or null",
    ]);
    assert.deepEqual(problemsOf({ a: 1, b: "y", c: 1 }, schema, "$"), [
      "$.c is not in the schema",
      "$.b: y",
    ]);
    assert.deepEqual(problemsOf({ b: "x" }, schema, "$"), ["$.a is missing"]);
    const map = { type: "object", additionalProperties: { type: "integer" } } as const;
    assert.deepEqual(problemsOf({ a: 1, b: "2" }, map, "$"), ['$.b is "2", not integer']);
  });
});
