/** What the project's own tools say when they are asked for help, or for something that they do not know. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { oneOf, parseCommandLine, wholeNumber } from "./support/command-line.ts";
import { inRoot } from "./support/project.ts";

const OPTIONS = { seeds: { type: "string", default: "1" }, twice: { type: "boolean" } } as const;

describe("the command line of a tool", () => {
  it("knows its options, and asks for help with two", () => {
    assert.equal(parseCommandLine(OPTIONS, ["--seeds", "7"])?.values.seeds, "7");
    assert.equal(parseCommandLine(OPTIONS, ["--seeds", "7", "--help"]), null);
    assert.equal(parseCommandLine(OPTIONS, ["-h"]), null);
  });

  it("names what it does not know", () => {
    assert.throws(() => parseCommandLine(OPTIONS, ["--seed", "7"]), /--seed/);
    assert.throws(() => parseCommandLine(OPTIONS, ["a"]), /"a" is one argument too many/);
    assert.deepEqual(parseCommandLine(OPTIONS, ["a"], 1)?.positionals, ["a"]);
  });

  it("takes whole numbers within their range, and choices that there are", () => {
    assert.equal(wholeNumber("seeds", "12", 0, 12), 12);
    for (const text of ["", " ", "x", "1.5", "-1", "13", "NaN"])
      assert.throws(() => wholeNumber("seeds", text, 0, 12), /--seeds is ".*", must be/);
    assert.equal(oneOf("phase", "all", ["all", "safety"]), "all");
    assert.throws(() => oneOf("phase", "al", ["all", "safety"]), /one of all, safety/);
  });

  it("ends with 0 after help, and with 2 and the usage after nonsense", () => {
    const tool = inRoot("dist", "test", "crashpoints", "main.js");
    const help = spawnSync(process.execPath, [tool, "--help"], { encoding: "utf8" });
    assert.deepEqual([help.status, help.stderr], [0, ""]);
    assert.match(help.stdout, /^npm run crashpoints .*\n {2}--images/);
    const wrong = spawnSync(process.execPath, [tool, "--imges=3"], { encoding: "utf8" });
    assert.deepEqual([wrong.status, wrong.stdout], [2, ""]);
    assert.match(wrong.stderr, /^Unknown option '--imges'\n\nnpm run crashpoints/);
  });
});
