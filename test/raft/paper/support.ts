/** One rule of the paper, its words, and a script that fails when the core does not keep it. */

import assert from "node:assert/strict";
import { Script } from "../transcripts/commands.ts";
import { Scenario } from "../transcripts/scenario.ts";

export interface Rule {
  /** Where: a section or figure of the paper ("P"), or of the dissertation ("D"). */
  readonly source: string;
  /** The rule in the words of the source. */
  readonly quote: string;
  /** What the script shows, as a sentence. */
  readonly shows: string;
  /** Commands of test/raft/transcripts/commands.ts, one a line; `#` begins a comment. */
  readonly script: string;
}

/** The name of a test and the test: `test(...rule({ ... }))`. */
export function rule({ source, quote, shows, script }: Rule): [name: string, check: () => void] {
  return [`${source}: ${shows} ("${quote}")`, () => check(script)];
}

function check(script: string): void {
  const commands = script
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  assert.ok(
    commands.some((command) => command.startsWith("expect ")),
    "a rule without an expectation",
  );
  const running = new Script(new Scenario());
  const said: string[] = [];
  for (const command of commands) {
    said.push(`> ${command}`);
    try {
      for (const line of running.run(command)) said.push(`  ${line}`);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      throw new Error(`${command}: ${error.message}\n${said.join("\n")}`, { cause: error });
    }
  }
}
