/**
 * The files with limits per tenant (spec raft-and-cluster, 13.3): `overrides.<tenant>.<limit>`, the whole of it or
 * nothing. Limits of other components are not ours to judge, but what looks like a misspelt one of ours is an error:
 * without it, data would be deleted by a period that nobody meant.
 */
import { suggest } from "../base/index.ts";
import type { LimitValues } from "./limits.ts";
import { type LimitName, limitByKey, limitKeys } from "./settings-limits.ts";
import type { Problem, Setting, SettingValue } from "./types.ts";
import { parseAssignment } from "./values.ts";
import {
  isEmpty,
  isYamlMap,
  mapEntries,
  offsetOf,
  rawOf,
  type YamlEntry,
  YamlText,
} from "./yaml-text.ts";

/** Larger ones are refused unread. A megabyte holds ten thousand tenants, and takes a second or two to parse. */
export const RUNTIME_FILE_MAX_BYTES = 1024 * 1024;

export interface RuntimeText {
  /** As the user named it. */
  readonly file: string;
  readonly text: string;
}

/** What the files say, as plain data. With an error among the problems nothing of it may be used. */
export interface RuntimeFiles {
  /** The limits that each tenant's entry names; a tenant without any is there, too. */
  readonly tenants: ReadonlyMap<string, LimitValues>;
  readonly problems: readonly Problem[];
  /** Names of limits and sections of other components. */
  readonly foreign: readonly string[];
}

const OVERRIDES = "overrides";
/** A limit of another component this near to one of ours is more likely a slip. */
const SLIP_DISTANCE_MAX = 2;

/** File names of the setting: commas separate, spaces around them do not count. */
export function runtimeFileNames(setting: string): string[] {
  return setting
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

/** Reads files whose texts are known; never throws. A later file has the last word on each limit. */
export function parseRuntimeFiles(texts: readonly RuntimeText[]): RuntimeFiles {
  const reader = new RuntimeReader();
  for (const { file, text } of texts) reader.read(new YamlText(file, text));
  const { tenants, problems, foreign } = reader;
  return { tenants, problems, foreign: [...foreign] };
}

class RuntimeReader {
  readonly tenants = new Map<string, Map<LimitName, SettingValue>>();
  readonly problems: Problem[] = [];
  /** Judged once per name: ten thousand tenants use the same few. */
  readonly foreign = new Set<string>();

  read(text: YamlText): void {
    if (isYamlMap(text.root)) this.#readRoot(text);
    else if (!isEmpty(text.root)) text.tell(0, `The file must be a map with the key ${OVERRIDES}`);
    this.problems.push(...text.problems);
  }

  #readRoot(text: YamlText): void {
    for (const { key, keyOffset, value } of mapEntries(text, text.root)) {
      if (key === OVERRIDES) this.#readTenants(text, value);
      else if (suggest(key, [OVERRIDES], SLIP_DISTANCE_MAX) !== null)
        text.tell(keyOffset, `${key}: unknown key. Did you mean ${OVERRIDES}?`);
      else this.foreign.add(key);
    }
  }

  #readTenants(text: YamlText, tenants: unknown): void {
    if (isEmpty(tenants)) return;
    if (!isYamlMap(tenants)) {
      text.tell(offsetOf(tenants), `${OVERRIDES}: expected a map of tenants`);
      return;
    }
    for (const entry of mapEntries(text, tenants)) {
      if (entry.key === "") text.tell(entry.keyOffset, `${OVERRIDES}: a tenant without a name`);
      else this.#readTenant(text, entry);
    }
  }

  #readTenant(text: YamlText, { key: tenant, value }: YamlEntry): void {
    const limits = this.tenants.get(tenant) ?? new Map<LimitName, SettingValue>();
    this.tenants.set(tenant, limits);
    if (isEmpty(value)) return;
    if (!isYamlMap(value)) {
      text.tell(offsetOf(value), `${OVERRIDES}.${tenant}: expected a map of limits`);
      return;
    }
    for (const entry of mapEntries(text, value)) this.#readLimit(text, { tenant, entry, limits });
  }

  #readLimit(
    text: YamlText,
    {
      tenant,
      entry,
      limits,
    }: { tenant: string; entry: YamlEntry; limits: Map<LimitName, SettingValue> },
  ): void {
    const { key, keyOffset, value } = entry;
    const writtenAs = `${OVERRIDES}.${tenant}.${key}`;
    const setting = limitByKey(key);
    if (setting === undefined) {
      if (this.foreign.has(key)) return;
      const slip = suggest(key, limitKeys(), SLIP_DISTANCE_MAX);
      if (slip === null) this.foreign.add(key);
      else text.tell(keyOffset, `${writtenAs}: unknown limit. Did you mean ${slip}?`);
      return;
    }
    // Nothing stands there: the tenant has the limit of all.
    if (isEmpty(value)) return;
    const read = readValue(setting, value, writtenAs);
    if (typeof read === "object") limits.set(nameOf(setting), read.value);
    else text.tell(offsetOf(value), read);
  }
}

/** The value, or what is wrong with it. */
function readValue(
  setting: Setting,
  node: unknown,
  writtenAs: string,
): { readonly value: SettingValue } | string {
  const raw = rawOf(node, false);
  if (raw === null) return `${writtenAs}: expected a single value`;
  const origin = { kind: "default" } as const;
  const result = parseAssignment({ setting, writtenAs, raw, origin });
  return result.ok ? { value: result.value } : result.message;
}

function nameOf(setting: Setting): LimitName {
  // Only limits are looked up by their key.
  return setting.name as LimitName;
}
