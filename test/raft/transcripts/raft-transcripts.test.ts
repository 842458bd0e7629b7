/**
 * Golden transcripts: the core's whole answer to scripted events, in recorded/*.txt, byte for byte. `--rewrite` as an
 * argument of this file, or HEARTH_REWRITE=1, records them anew; expectations in them hold either way. Read a changed
 * transcript before accepting it.
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { inRoot } from "../../support/project.ts";
import { commandsOf, play } from "./transcript.ts";

const FOLDER = inRoot("test", "raft", "transcripts", "recorded");
const TRANSCRIPTS_MIN = 30;
const isRewrite = process.argv.includes("--rewrite") || process.env.HEARTH_REWRITE === "1";
const names = readdirSync(FOLDER).filter((name) => name.endsWith(".txt"));

describe("transcripts", () => {
  for (const name of names.sort()) {
    it(name.slice(0, -4).replaceAll("-", " "), () => {
      const path = `${FOLDER}/${name}`;
      const recorded = readFileSync(path, "utf8");
      const played = play(recorded);
      if (isRewrite && played.text !== recorded) writeFileSync(path, played.text);
      assert.deepEqual(played.failures, []);
      if (!isRewrite) assert.equal(played.text, recorded);
    });
  }

  it("are enough, and each says what it shows and which bug it guards", () => {
    assert.ok(names.length >= TRANSCRIPTS_MIN, `${names.length} transcripts`);
    for (const name of names) {
      const text = readFileSync(`${FOLDER}/${name}`, "utf8");
      assert.match(text, /^# \S[\s\S]*?\n# Guards: \S/, name);
      assert.ok(
        commandsOf(text).some((command) => command.startsWith("expect ")),
        name,
      );
    }
  });

  it("fail when an expectation in them is wrong", () => {
    const { failures } = play("> cluster a b c\n> campaign a\n> expect a role leader\n");
    assert.equal(failures.length, 1);
    assert.match(failures[0] ?? "", /^line 3, .*it is "preCandidate"/);
  });
});
