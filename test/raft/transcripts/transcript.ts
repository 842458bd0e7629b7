/** A transcript file: comments, commands (`> ...`), and behind each command, indented, what the core made of it. */

import { Script } from "./commands.ts";
import { Scenario } from "./scenario.ts";

export interface Played {
  /** The file as it should be. */
  readonly text: string;
  /** Expectations that were not met, with their line. */
  readonly failures: readonly string[];
}

/** Runs the commands of a transcript. Recorded output in it is ignored. */
export function play(text: string): Played {
  const script = new Script(new Scenario());
  const lines: string[] = [];
  const failures: string[] = [];
  for (const [i, line] of text.split("\n").entries()) {
    if (line.startsWith("  ")) continue;
    lines.push(line);
    if (!line.startsWith("> ")) continue;
    try {
      for (const said of script.run(line.slice(2))) lines.push(`  ${said}`);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      for (const said of script.scenario.lines.splice(0)) lines.push(`  ${said}`);
      failures.push(`line ${i + 1}, "${line}": ${error.message}`);
    }
  }
  return { text: lines.join("\n"), failures };
}

export function commandsOf(text: string): string[] {
  return text.split("\n").flatMap((line) => (line.startsWith("> ") ? [line.slice(2)] : []));
}
