import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { LineLogger } from "../../src/cli/server/logging.ts";
import { readableStack } from "../../src/cli/server/readable-stack.ts";
import { inRoot } from "../support/project.ts";

const CLIENT_URL = pathToFileURL(inRoot("dist", "app", "client.js")).href;

/** Of an error that the bundled client throws, in a process that reads no maps by itself as tests do. */
function bundledStack(): string {
  const program = `
    import { connect } from ${JSON.stringify(CLIENT_URL)};
    connect({ endpoints: [] }).catch((error) => console.log(error.stack));
  `;
  const args = ["--input-type=module", "--eval", program];
  const env = { ...process.env, NODE_OPTIONS: "" };
  return execFileSync(process.execPath, args, { encoding: "utf8", env });
}

describe("stacks of the bundled program", () => {
  it("name the sources, with lines that are there", () => {
    const stack = bundledStack();
    assert.match(stack, /dist\/app\/client\.js:\d+:\d+/);
    const readable = readableStack(stack);
    assert.doesNotMatch(readable, /dist\/app/);
    const place = readable.match(/(src\/client\/[\w/-]+\.ts):(\d+):\d+/);
    assert(place !== null, readable);
    const [, source = "", line] = place;
    assert(existsSync(inRoot(source)), source);
    const lines = readFileSync(inRoot(source), "utf8").split("\n");
    assert(Number(line) <= lines.length, place[0]);
  });

  it("are written so by the logger, whatever the field's name is", () => {
    const lines: string[] = [];
    const logger = LineLogger.create(
      { level: "info", format: "json" },
      { write: (line) => lines.push(line), nowMs: () => 0 },
    );
    logger.error("uncaught error", { error: bundledStack() });
    const { error } = JSON.parse(lines[0] ?? "") as { error: string };
    assert.match(error, /src\/client\/[\w/-]+\.ts:\d+:\d+/);
    assert.doesNotMatch(error, /dist\/app/);
  });

  it("keep a place that has no map, and text that is no stack", () => {
    const gone = "Error: x\n    at f (file:///opt/hearth/dist/app/chunk-GONE.js:12:34)";
    assert.equal(readableStack(gone), gone);
    const text = "see file:///opt/hearth/dist/app/client.js:1:1";
    assert.equal(readableStack(text), text);
  });
});
