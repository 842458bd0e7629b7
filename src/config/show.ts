/** Configuration as text: the report of a check, the table of values, the YAML of the status page. */
import { stringify } from "yaml";
import type { LoadResult } from "./load.ts";
import type { RuntimeLimits } from "./runtime-limits.ts";
import { LIMIT_SETTINGS, limitKey } from "./settings-limits.ts";
import { SETTINGS, yamlPath } from "./settings.ts";
import {
  describeOrigin,
  type Origin,
  type Problem,
  type Setting,
  type SettingValue,
} from "./types.ts";
import { formatValue } from "./values.ts";

/** Places are padded to this width at most, so that one long place does not move every sentence off the screen. */
const PLACE_WIDTH_MAX = 48;

/** The report of `hearth config check`: a summary line, then a line per problem. */
export function formatProblems(result: Pick<LoadResult, "problems" | "file">): string[] {
  const subject = result.file === "" ? "configuration" : result.file;
  const errorCount = result.problems.filter((problem) => problem.severity === "error").length;
  const warningCount = result.problems.length - errorCount;
  if (result.problems.length === 0) return [`${subject}: no problems`];
  const counts = [plural(errorCount, "error"), plural(warningCount, "warning")].filter(
    (text) => text !== "",
  );
  const width = Math.min(
    PLACE_WIDTH_MAX,
    Math.max(...result.problems.map((problem) => problem.place.length)),
  );
  return [
    `${subject}: ${counts.join(", ")}`,
    ...result.problems.map((problem) => formatProblem(problem, width)),
  ];
}

function formatProblem(problem: Problem, width: number): string {
  return `${problem.severity.padEnd(7)}  ${problem.place.padEnd(width)}  ${problem.message}`;
}

function plural(count: number, word: string): string {
  if (count === 0) return "";
  return count === 1 ? `1 ${word}` : `${count} ${word}s`;
}

export interface ShownSetting {
  /** The YAML key where there is one, else the flag. */
  readonly name: string;
  readonly value: string;
  readonly origin: string;
  readonly isDefault: boolean;
}

/** Every setting with its effective value, secrets masked, in the order of the table. */
export function shownSettings(
  values: ReadonlyMap<string, SettingValue>,
  origins: ReadonlyMap<string, Origin>,
): ShownSetting[] {
  return SETTINGS.filter((setting) => isShown(setting, values)).map((setting) => {
    const value = values.get(setting.name) ?? null;
    const origin = origins.get(setting.name) ?? { kind: "default" };
    return {
      name: yamlPath(setting) ?? setting.name,
      value: formatValue(setting, value),
      origin: describeOrigin(origin),
      isDefault: origin.kind === "default" || value === setting.default,
    };
  });
}

/** A tree has no default that would be its value: it is there or not. */
function isShown(setting: Setting, values: ReadonlyMap<string, SettingValue>): boolean {
  return setting.kind !== "tree" || (values.get(setting.name) ?? null) !== null;
}

const NO_VALUES: ReadonlyMap<string, SettingValue> = new Map();

export type ConfigView = "all" | "diff" | "defaults";

/** The YAML of `/api/v1/status/config`: all values, those that differ from the defaults, or the defaults. */
export function configYaml(values: ReadonlyMap<string, SettingValue>, view: ConfigView): string {
  const root: Record<string, unknown> = {};
  for (const setting of SETTINGS) {
    const path = yamlPath(setting);
    if (path === null || !isShown(setting, view === "defaults" ? NO_VALUES : values)) continue;
    const value = view === "defaults" ? setting.default : (values.get(setting.name) ?? null);
    if (view === "diff" && isSame(value, setting.default)) continue;
    place(root, path.split("."), yamlValue(setting, value));
  }
  return Object.keys(root).length === 0 ? "{}\n" : stringify(root, { lineWidth: 0 });
}

/**
 * The YAML of `/runtime_config`: what counts for each tenant that has an entry, or only what differs from the global
 * limits. Problems of the files stand above it as comments.
 */
export function runtimeYaml(
  limits: Pick<RuntimeLimits, "tenants" | "ownValues" | "globalValues" | "problems">,
  view: "all" | "diff",
): string {
  const overrides: Record<string, unknown> = {};
  for (const tenant of limits.tenants) overrides[tenant] = tenantView(limits, tenant, view);
  const comments = limits.problems.map(
    ({ severity, place, message }) => `# ${severity}, not in effect: ${place} ${message}\n`,
  );
  return comments.join("") + stringify({ overrides }, { lineWidth: 0 });
}

function tenantView(
  limits: Pick<RuntimeLimits, "ownValues" | "globalValues">,
  tenant: string,
  view: "all" | "diff",
): Record<string, unknown> {
  const own = limits.ownValues(tenant);
  const shown: Record<string, unknown> = {};
  for (const setting of LIMIT_SETTINGS) {
    const global = limits.globalValues.get(setting.name) ?? null;
    const value = own?.get(setting.name) ?? global;
    if (view === "diff" && isSame(value, global)) continue;
    shown[limitKey(setting)] = yamlValue(setting, value);
  }
  return shown;
}

function isSame(left: SettingValue, right: SettingValue): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

/** Numbers and booleans stay what they are; durations and sizes get their unit back. */
function yamlValue(setting: Setting, value: SettingValue): unknown {
  if (setting.kind === "tree") return JSON.parse(String(value));
  const isPlain =
    setting.kind === "integer" || setting.kind === "boolean" || setting.kind === "list";
  return isPlain ? value : formatValue(setting, value);
}

function place(root: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let level = root;
  for (const key of path.slice(0, -1)) {
    const next = (level[key] ?? {}) as Record<string, unknown>;
    level[key] = next;
    level = next;
  }
  level[path.at(-1) as string] = value;
}
