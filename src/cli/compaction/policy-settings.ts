/** Settings of the compaction policy as people write them, and where they stand in the policy. */
import { formatCount, formatDurationSetting, parseDuration, suggest } from "../../base/index.ts";
import type { CompactionPolicy, JsonValue } from "../../client/index.ts";
import { UsageError } from "../command.ts";

interface PolicySetting {
  readonly name: string;
  readonly field: keyof CompactionPolicy;
  readonly kind: "count" | "duration";
  /** For the line that show prints. */
  readonly help: string;
}

const SETTINGS: readonly PolicySetting[] = [
  { name: "lease", field: "leaseMs", kind: "duration", help: "a worker may be silent so long" },
  {
    name: "failures-max",
    field: "failuresMax",
    kind: "count",
    help: "handed out anew so often; 0: no limit",
  },
  { name: "jobs-max", field: "jobsMax", kind: "count", help: "jobs in any state; 0: no limit" },
  {
    name: "requeue-delay",
    field: "requeueDelayMs",
    kind: "duration",
    help: "blocks of a job without a result wait so long",
  },
  {
    name: "exhausted-delay",
    field: "exhaustedDelayMs",
    kind: "duration",
    help: "an exhausted job gives its blocks back after this; 0: never",
  },
  {
    name: "cleanup-batch-size",
    field: "cleanupBatchSize",
    kind: "count",
    help: "tombstones that a job carries out",
  },
  {
    name: "cleanup-delay",
    field: "cleanupDelayMs",
    kind: "duration",
    help: "age from which tombstones are carried out",
  },
  {
    name: "cleanup-min-level",
    field: "cleanupMinLevel",
    kind: "count",
    help: "jobs from this level on carry tombstones",
  },
  {
    name: "cleanup-max-level",
    field: "cleanupMaxLevel",
    kind: "count",
    help: "jobs up to this level carry tombstones",
  },
];

const LEVEL_FIELDS = { "max-blocks": "maxBlocks", "max-age": "maxAgeMs" } as const;
type Patch = { [name: string]: JsonValue };

/** One line per setting, for `policy show`. */
export function policyLines(
  policy: CompactionPolicy,
): { name: string; value: string; help: string }[] {
  const levels = policy.levels.flatMap(({ maxBlocks, maxAgeMs }, level) =>
    levelLines(`level.${level}`, maxBlocks, maxAgeMs),
  );
  const others = SETTINGS.map(({ name, field, kind, help }) => {
    const value = policy[field] as number;
    const text = kind === "duration" ? formatDurationSetting(value) : formatCount(value);
    return { name, value: text, help };
  });
  return [...levels, ...others];
}

/** The settings that a tenant has of its own; empty: the general ones hold. */
export function tenantLines(
  policy: CompactionPolicy,
  tenant: string,
): { name: string; value: string; help: string }[] {
  const own = Object.hasOwn(policy.tenants, tenant) ? policy.tenants[tenant] : undefined;
  const levels = (own?.levels ?? []).flatMap((limits, level) =>
    limits === null ? [] : levelLines(`level.${level}`, limits.maxBlocks, limits.maxAgeMs),
  );
  if (own?.jobsMax === undefined) return levels;
  return [
    ...levels,
    { name: "jobs-max", value: formatCount(own.jobsMax), help: "jobs of this tenant; 0: no limit" },
  ];
}

export interface SettingChange {
  readonly name: string;
  /** Null: there was none, or there is none any more. */
  readonly before: string | null;
  readonly after: string | null;
}

/** What differs between two policies, the settings of tenants behind the general ones. Pauses are no settings. */
export function policyChanges(before: CompactionPolicy, after: CompactionPolicy): SettingChange[] {
  const tenants = new Set([...Object.keys(before.tenants), ...Object.keys(after.tenants)]);
  return [
    ...changesOf("", policyLines(before), policyLines(after)),
    ...[...tenants]
      .sort()
      .flatMap((tenant) =>
        changesOf(`${tenant}: `, tenantLines(before, tenant), tenantLines(after, tenant)),
      ),
  ];
}

interface SettingLine {
  readonly name: string;
  readonly value: string;
}

function changesOf(
  prefix: string,
  before: readonly SettingLine[],
  after: readonly SettingLine[],
): SettingChange[] {
  const names = new Set([...before, ...after].map(({ name }) => name));
  const valueIn = (lines: readonly SettingLine[], name: string): string | null =>
    lines.find((line) => line.name === name)?.value ?? null;
  return [...names]
    .map((name) => ({
      name: `${prefix}${name}`,
      before: valueIn(before, name),
      after: valueIn(after, name),
    }))
    .filter((change) => change.before !== change.after);
}

function levelLines(
  prefix: string,
  maxBlocks: number,
  maxAgeMs: number,
): { name: string; value: string; help: string }[] {
  return [
    { name: `${prefix}.max-blocks`, value: formatCount(maxBlocks), help: "blocks of a full job" },
    {
      name: `${prefix}.max-age`,
      value: formatDurationSetting(maxAgeMs),
      help: "age from which fewer make a job; 0: never",
    },
  ];
}

/** The patch that `set name=value ...` means. Errors: UsageError that names the setting. */
export function setPatch(assignments: readonly string[], tenant: string | null): Patch {
  const patch: Patch = {};
  for (const assignment of assignments) {
    const at = assignment.indexOf("=");
    if (at <= 0)
      throw new UsageError(
        `"${assignment}" is not <setting>=<value>`,
        "Write for example lease=30s",
      );
    put(patch, assignment.slice(0, at), assignment.slice(at + 1));
  }
  return forTenant(patch, tenant);
}

/** The patch that `unset name ...` means. */
export function unsetPatch(names: readonly string[], tenant: string | null): Patch {
  const patch: Patch = {};
  for (const name of names) {
    const level = /^level\.(\d{1,2})$/.exec(name);
    if (level !== null) levelsOf(patch)[level[1] as string] = null;
    else put(patch, name, null);
  }
  return forTenant(patch, tenant);
}

/** `value` null: back to the initial one. */
function put(patch: Patch, name: string, value: string | null): void {
  const level = /^level\.(\d{1,2})\.(max-blocks|max-age)$/.exec(name);
  if (level !== null) {
    const [, number = "", field = ""] = level;
    if (value === null)
      throw new UsageError(`${name} is one half of a level`, `Unset level.${number} as a whole`);
    const levels = levelsOf(patch);
    levels[number] ??= {};
    const own = levels[number] as Patch;
    const kind = field === "max-age" ? "duration" : "count";
    own[LEVEL_FIELDS[field as keyof typeof LEVEL_FIELDS]] = readValue(name, kind, value);
    return;
  }
  const setting = SETTINGS.find((candidate) => candidate.name === name);
  if (setting === undefined) throw unknownSetting(name);
  patch[setting.field] = value === null ? null : readValue(name, setting.kind, value);
}

function levelsOf(patch: Patch): Patch {
  patch.levels ??= {};
  return patch.levels as Patch;
}

function forTenant(patch: Patch, tenant: string | null): Patch {
  if (tenant === null) return patch;
  const other = Object.keys(patch).find((field) => field !== "levels" && field !== "jobsMax");
  if (other !== undefined) {
    const { name } = SETTINGS.find(({ field }) => field === other) as PolicySetting;
    throw new UsageError(
      `${name} is one for all tenants`,
      "A tenant has levels and jobs-max of its own",
    );
  }
  return { tenants: { [tenant]: patch } };
}

function readValue(name: string, kind: PolicySetting["kind"], written: string): number {
  if (kind === "duration") {
    const parsed = parseDuration(written);
    if (parsed.ok && parsed.value >= 0) return parsed.value;
    throw new UsageError(`${name}: ${parsed.ok ? `${written} is negative` : parsed.reason}`);
  }
  if (/^\d{1,9}$/.test(written)) return Number(written);
  throw new UsageError(`${name}: "${written}" is not a whole number`);
}

function unknownSetting(name: string): UsageError {
  const names = [
    ...SETTINGS.map((setting) => setting.name),
    "level.0.max-blocks",
    "level.0.max-age",
  ];
  const near = suggest(name, names);
  const next = near === null ? "hearth compaction policy show lists them" : `Did you mean ${near}?`;
  return new UsageError(`"${name}" is not a setting of the policy`, next);
}
