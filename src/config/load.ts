/**
 * Flags, environment, file and defaults become one checked configuration, or the list of everything wrong with them.
 *
 *   flag > environment > YAML file > default
 *
 * Nothing stops at the first problem: an operator repairs a file once, not once per mistake.
 */
import { readFileSync, statSync } from "node:fs";
import { createHash } from "node:crypto";
import { assert } from "../base/index.ts";
import { buildConfig, type Config } from "./config.ts";
import { readEnvironment } from "./environment.ts";
import { type FlagQuestion, parseFlags } from "./flags.ts";
import { RULES, type Rule } from "./rules.ts";
import {
  parseRuntimeFiles,
  RUNTIME_FILE_MAX_BYTES,
  type RuntimeFiles,
  type RuntimeText,
  runtimeFileNames,
} from "./runtime-file.ts";
import { unreadable } from "./runtime-limits.ts";
import { SETTINGS, settingByName } from "./settings.ts";
import {
  type Assignment,
  describeOrigin,
  describeOriginShort,
  type Origin,
  type Problem,
  type SettingValue,
  type SourceResult,
} from "./types.ts";
import { formatValue, parseAssignment } from "./values.ts";
import { FILE_MAX_BYTES, readYaml } from "./yaml-file.ts";

export interface LoadInput {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** False leaves out what depends on this machine (file systems), for a file that is meant for another one. */
  readonly checkMachine?: boolean;
  /** Replaced in tests. */
  readonly readFile?: (file: string) => string;
}

export interface LoadResult {
  /** Null when there is an error among the problems. */
  readonly config: Config | null;
  readonly values: ReadonlyMap<string, SettingValue>;
  readonly origins: ReadonlyMap<string, Origin>;
  readonly problems: readonly Problem[];
  /** Flags and sections of other components. */
  readonly foreign: readonly string[];
  /** Settings that were given, are known, and have no function in this version. */
  readonly unused: readonly string[];
  /** The file that was read, as the user named it; empty without one. */
  readonly file: string;
  /** What the files with limits per tenant say; without tenants where they were not read. */
  readonly runtime: RuntimeFiles;
  readonly asks: readonly FlagQuestion[];
}

/** Never throws for what a user wrote: everything is in `problems`. */
export function loadConfig(input: LoadInput): LoadResult {
  const flags = parseFlags(input.argv);
  const environment = readEnvironment(input.environment);
  const merged = new Merger();
  merged.problems.push(...flags.problems, ...environment.problems);
  // From the strongest to the weakest: the first good or bad word on a setting is the one that counts.
  merged.take(flags);
  merged.take(environment);
  const file = String(merged.values.get("config.file") ?? "");
  if (file !== "") merged.take(readConfigFile(file, merged, input), true);
  merged.fillDefaults();
  for (const rule of RULES) {
    if (rule.looksAtMachine === true && input.checkMachine === false) continue;
    merged.applyRule(rule);
  }
  const runtime = readRuntimeFiles(merged, input);
  merged.problems.push(...runtime.problems);
  const hasErrors = merged.problems.some((problem) => problem.severity === "error");
  return {
    config: hasErrors ? null : buildConfig(merged.values),
    values: merged.values,
    origins: merged.origins,
    problems: merged.sortedProblems(),
    foreign: [...flags.foreign, ...merged.fileForeign, ...runtime.foreign],
    unused: merged.unused(),
    file,
    runtime,
    asks: flags.asks,
  };
}

/** Eight hexadecimal digits of the effective values: two nodes with the same number run the same settings. */
export function configHash(values: ReadonlyMap<string, SettingValue>): string {
  const lines = [...values].map(([name, value]) => `${name}=${JSON.stringify(value)}`).sort();
  return createHash("sha256").update(lines.join("\n")).digest("hex").slice(0, 8);
}

/**
 * The files with limits per tenant, as the start will find them. A bad one refuses the start: without it, data would be
 * deleted by a period that its tenant does not have.
 */
function readRuntimeFiles(merged: Merger, input: LoadInput): RuntimeFiles {
  const texts: RuntimeText[] = [];
  const problems: Problem[] = [];
  const names = String(merged.values.get("runtime-config.file") ?? "");
  for (const file of input.checkMachine === false ? [] : runtimeFileNames(names)) {
    try {
      texts.push({ file, text: readText(input, file, RUNTIME_FILE_MAX_BYTES) });
    } catch (error) {
      problems.push(unreadable(file, error));
    }
  }
  const { tenants, foreign, problems: found } = parseRuntimeFiles(texts);
  return { tenants, foreign, problems: [...problems, ...found] };
}

function readConfigFile(file: string, merged: Merger, input: LoadInput): SourceResult {
  try {
    const text = readText(input, file, FILE_MAX_BYTES);
    return readYaml({
      file,
      text,
      expandEnvironment: merged.values.get("config.expand-env") === true,
      environment: input.environment,
    });
  } catch (error) {
    const problem = unreadable(file, error);
    return { assignments: [], problems: [problem], foreign: [] };
  }
}

function readText(input: LoadInput, file: string, maxBytes: number): string {
  if (input.readFile !== undefined) return input.readFile(file);
  const sizeBytes = statSync(file).size;
  if (sizeBytes > maxBytes) throw new Error(`${sizeBytes} bytes, limit is ${maxBytes}`);
  return readFileSync(file, "utf8");
}

class Merger {
  readonly values = new Map<string, SettingValue>();
  readonly origins = new Map<string, Origin>();
  readonly problems: Problem[] = [];
  readonly fileForeign: string[] = [];
  /** Settings that some source got wrong: rules over them would only repeat the news. */
  readonly #broken = new Set<string>();

  take(source: SourceResult, isFile = false): void {
    const bySetting = new Map<string, Assignment[]>();
    for (const assignment of source.assignments) {
      const name = assignment.setting.name;
      const earlier = bySetting.get(name);
      if (earlier === undefined) bySetting.set(name, [assignment]);
      else earlier.push(assignment);
    }
    for (const [name, assignments] of bySetting) this.#takeSetting(name, assignments);
    if (!isFile) return;
    this.problems.push(...source.problems);
    this.fileForeign.push(...source.foreign);
  }

  /** Several in one source only happen for flags: a list collects them, anything else takes the last, as Go does. */
  #takeSetting(name: string, assignments: readonly Assignment[]): void {
    const good: SettingValue[] = [];
    for (const assignment of assignments) {
      const result = parseAssignment(assignment);
      if (result.ok) {
        good.push(result.value);
        continue;
      }
      this.#broken.add(name);
      this.problems.push({
        severity: "error",
        place: describeOrigin(assignment.origin),
        message: result.message,
      });
    }
    const last = assignments.at(-1) as Assignment;
    if (last.doubt !== undefined && !this.origins.has(name)) {
      const place = describeOrigin(last.origin);
      this.problems.push({ severity: "warning", place, message: last.doubt });
    }
    if (this.origins.has(name) || good.length === 0 || last.raw === null) return;
    const isList = last.setting.kind === "list";
    const value = isList ? good.flatMap((item) => item as readonly string[]) : good.at(-1);
    this.values.set(name, value as SettingValue);
    this.origins.set(name, last.origin);
  }

  fillDefaults(): void {
    for (const setting of SETTINGS) {
      if (this.origins.has(setting.name)) continue;
      this.values.set(setting.name, setting.default);
      this.origins.set(setting.name, { kind: "default" });
    }
  }

  applyRule(rule: Rule): void {
    if (rule.settings.some((name) => this.#broken.has(name))) return;
    const message = rule.check({
      get: (name) => this.values.get(name) ?? null,
      show: (name) => {
        const setting = settingByName(name);
        assert(setting !== undefined, `A rule names the unknown setting ${name}`);
        return formatValue(setting, this.values.get(name) ?? null);
      },
    });
    if (message === null) return;
    this.problems.push({ severity: rule.severity, place: this.#placeOf(rule), message });
  }

  #placeOf(rule: Rule): string {
    const given = rule.settings
      .map((name) => this.origins.get(name) as Origin)
      .filter((origin) => origin.kind !== "default");
    if (given.length === 0) return "default";
    if (given.length === 1) return describeOrigin(given[0] as Origin);
    return [...new Set(given.map(describeOriginShort))].join(" + ");
  }

  unused(): string[] {
    return SETTINGS.filter(
      (setting) => setting.isUsed === false && this.origins.get(setting.name)?.kind !== "default",
    ).map((setting) => setting.name);
  }

  /** Errors before warnings; those with a line first, in its order; otherwise as they were found. */
  sortedProblems(): Problem[] {
    const rank = (problem: Problem): number => (problem.severity === "error" ? 0 : 1);
    return [...this.problems].sort(
      (left, right) => rank(left) - rank(right) || comparePositions(left.place, right.place),
    );
  }
}

function comparePositions(left: string, right: string): number {
  const [leftAt, rightAt] = [left, right].map((place) => /:(\d+):(\d+)$/.exec(place));
  if (leftAt == null || rightAt == null) return Number(leftAt == null) - Number(rightAt == null);
  return Number(leftAt[1]) - Number(rightAt[1]) || Number(leftAt[2]) - Number(rightAt[2]);
}
