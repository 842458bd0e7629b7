/** The whole table of settings, and the three names each setting has: flag, environment variable, YAML key. */
import { GRPC_SETTINGS } from "./settings-grpc.ts";
import { COMPACTION_SETTINGS } from "./settings-compaction.ts";
import { LIMIT_SETTINGS } from "./settings-limits.ts";
import { OWN_SETTINGS } from "./settings-own.ts";
import { PLANNER_SETTINGS } from "./planner-keys.ts";
import { PLACEMENT_SETTINGS } from "./settings-placement.ts";
import {
  METASTORE_SETTINGS,
  PROCESS_SETTINGS,
  RUNTIME_SETTINGS,
  UNUSED_SETTINGS,
} from "./settings-reference.ts";
import { STORAGE_SETTINGS } from "./settings-storage.ts";
import type { Setting } from "./types.ts";

export const SETTINGS: readonly Setting[] = [
  ...PROCESS_SETTINGS,
  ...GRPC_SETTINGS,
  ...METASTORE_SETTINGS,
  ...COMPACTION_SETTINGS,
  ...PLANNER_SETTINGS,
  ...STORAGE_SETTINGS,
  ...PLACEMENT_SETTINGS,
  ...LIMIT_SETTINGS,
  ...RUNTIME_SETTINGS,
  ...OWN_SETTINGS,
  ...UNUSED_SETTINGS,
];

/** Names of settings that have a function; `Config` is built from exactly these. */
export type UsedSettingName =
  | (typeof PROCESS_SETTINGS)[number]["name"]
  | (typeof GRPC_SETTINGS)[number]["name"]
  | (typeof METASTORE_SETTINGS)[number]["name"]
  | (typeof COMPACTION_SETTINGS)[number]["name"]
  | (typeof PLANNER_SETTINGS)[number]["name"]
  | (typeof STORAGE_SETTINGS)[number]["name"]
  | (typeof PLACEMENT_SETTINGS)[number]["name"]
  | (typeof LIMIT_SETTINGS)[number]["name"]
  | (typeof RUNTIME_SETTINGS)[number]["name"]
  | (typeof OWN_SETTINGS)[number]["name"];

/** Variables of the command line that share the prefix. */
export const COMMAND_VARIABLES: ReadonlySet<string> = new Set([
  "HEARTH_ENDPOINTS",
  "HEARTH_TIMEOUT",
]);

const BY_NAME = new Map(SETTINGS.map((setting) => [setting.name, setting]));
const BY_YAML = new Map<string, Setting>();
const BY_VARIABLE = new Map<string, Setting>();
for (const setting of SETTINGS) {
  const path = yamlPath(setting);
  if (path !== null) BY_YAML.set(path, setting);
  BY_VARIABLE.set(environmentVariable(setting), setting);
}

export function settingByName(name: string): Setting | undefined {
  return BY_NAME.get(name);
}

export function settingByYamlPath(path: string): Setting | undefined {
  return BY_YAML.get(path);
}

export function settingByVariable(variable: string): Setting | undefined {
  return BY_VARIABLE.get(variable);
}

/** Dotted YAML key: `metastore.raft.server_id`; null where a setting makes no sense in the file. */
export function yamlPath(setting: Setting): string | null {
  return setting.yaml === undefined ? setting.name.replaceAll("-", "_") : setting.yaml;
}

/** `HEARTH_METASTORE_RAFT_DIR`, `HEARTH_READER_THREADS`; a secret's variable names its file: `..._FILE`. */
export function environmentVariable(setting: Setting): string {
  const own = setting.name.startsWith("hearth.")
    ? setting.name.slice("hearth.".length)
    : setting.name;
  const variable = `HEARTH_${own.replaceAll(/[.-]/g, "_").toUpperCase()}`;
  return setting.isSecret === true ? `${variable}_FILE` : variable;
}

/** Flag names, for suggestions. */
export function flagNames(): string[] {
  return SETTINGS.filter((setting) => !isYamlOnly(setting)).map((setting) => setting.name);
}

/** Every dotted YAML key, for suggestions. */
export function yamlPaths(): IterableIterator<string> {
  return BY_YAML.keys();
}

export function environmentVariables(): string[] {
  return [...BY_VARIABLE.keys(), ...COMMAND_VARIABLES];
}

/** Trees cannot be written as a flag or a variable. */
export function isYamlOnly(setting: Setting): boolean {
  return setting.kind === "tree";
}
