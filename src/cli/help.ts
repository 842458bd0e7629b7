/** Help, generated from the data of the commands. Lines fit 100 columns; no colours, so that it can be compared. */
import { type CommandSpec, commandName, EXIT_MEANINGS, type FlagSpec } from "./command.ts";
import { ownFlags } from "./global-flags.ts";
import { allFlags } from "./parse.ts";

const LINE_WIDTH = 100;

export interface HelpSection {
  readonly title: string;
  /** First words of the commands it lists, in order. */
  readonly groups: readonly string[];
}

/** `hearth --help`. */
export function overviewHelp(
  commands: readonly CommandSpec[],
  sections: readonly HelpSection[],
): string {
  const lines = [
    "Hearth, the metastore of a continuous-profiling database",
    "",
    "usage  hearth -flag=value ...            start the server, with Go-style flags",
    "       hearth <command> [flags] ...      everything else",
    "",
  ];
  for (const { title, groups } of sections) {
    const listed = groups.flatMap((group) => commands.filter((spec) => spec.path[0] === group));
    if (listed.length === 0) continue;
    lines.push(title);
    lines.push(...columns(listed.map((spec) => [spec.path.join(" "), spec.summary])), "");
  }
  lines.push(
    "hearth <command> --help shows flags and examples; hearth -help lists the flags of the server.",
  );
  return `${lines.join("\n")}\n`;
}

/** `hearth block`: the commands of a group. */
export function groupHelp(group: readonly CommandSpec[]): string {
  const lines = ["usage", ...columns(group.map((spec) => [usageLine(spec), spec.summary]))];
  return `${lines.join("\n")}\n`;
}

/** `hearth block add --help`. */
export function commandHelp(spec: CommandSpec): string {
  const lines = [`${spec.summary}`, "", `usage  ${usageLine(spec)}`];
  if (spec.details !== undefined) lines.push("", ...wrap(spec.details, LINE_WIDTH));
  const globalNames = new Set(allFlags(spec).map((flag) => flag.name));
  const own = ownFlags(spec);
  for (const flag of own) globalNames.delete(flag.name);
  if (own.length > 0) lines.push("", "flags", ...flagLines(own));
  const general = allFlags(spec).filter((flag) => globalNames.has(flag.name));
  lines.push("", "general flags", ...flagLines(general));
  lines.push("", "examples");
  for (const example of spec.examples) lines.push(`  # ${example.comment}`, `  ${example.command}`);
  lines.push("", "exit codes");
  lines.push(...columns(spec.exitCodes.map((code) => [String(code), EXIT_MEANINGS[code]])));
  return `${lines.join("\n")}\n`;
}

export function usageLine(spec: CommandSpec): string {
  const flags = spec.takesServerFlags === true ? " [-flag=value ...]" : " [flags]";
  return `${commandName(spec)}${flags}${spec.operands === undefined ? "" : ` ${spec.operands}`}`;
}

function flagLines(flags: readonly FlagSpec[]): string[] {
  return columns(
    flags.map((flag) => {
      const value = flag.value === undefined ? "" : ` ${flag.value}`;
      const repeat = flag.isRepeatable === true ? "; may be repeated" : "";
      const absent = flag.whenAbsent === undefined ? "" : ` (default ${flag.whenAbsent})`;
      return [`--${flag.name}${value}`, `${flag.help}${repeat}${absent}`];
    }),
  );
}

/** Two columns, the second wrapped under itself. */
function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.min(44, Math.max(...rows.map(([left]) => left.length)));
  const indent = " ".repeat(width + 4);
  return rows.flatMap(([left, right]) => {
    const [first, ...rest] = wrap(right, LINE_WIDTH - indent.length);
    const lead = `  ${left.padEnd(width)}  `;
    const lines = left.length > width ? [`  ${left}`, `${indent}${first}`] : [`${lead}${first}`];
    return [...lines, ...rest.map((line) => `${indent}${line}`)];
  });
}

/** Breaks at spaces; a longer word keeps its line. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines;
}
