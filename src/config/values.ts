/** One assignment, checked: text becomes a value in the unit the program computes with, or a problem with a place. */
import {
  formatDurationSetting,
  formatSizeSetting,
  parseDuration,
  parseSize,
  suggest,
} from "../base/index.ts";
import type { Assignment, Setting, SettingValue } from "./types.ts";

export type ValueResult =
  | { readonly ok: true; readonly value: SettingValue }
  | { readonly ok: false; readonly message: string };

/** Errors: the message begins with the name as it was written, and says what to write instead. */
export function parseAssignment(assignment: Assignment): ValueResult {
  const { setting, raw, writtenAs } = assignment;
  if (raw === null) return { ok: true, value: setting.default };
  if (typeof raw !== "string") {
    const listed = setting.kind === "list";
    return listed ? { ok: true, value: raw } : failure(writtenAs, "expected a single value");
  }
  return parseText(setting, raw, writtenAs);
}

function parseText(setting: Setting, raw: string, writtenAs: string): ValueResult {
  switch (setting.kind) {
    case "text":
    case "tree":
      return { ok: true, value: raw };
    case "list":
      return { ok: true, value: [raw] };
    case "boolean":
      return parseBoolean(raw, writtenAs);
    case "choice":
      return parseChoice(setting, raw, writtenAs);
    case "integer":
      if (!/^[-+]?\d+$/.test(raw)) return failure(writtenAs, `"${raw}" is not a whole number`);
      return checkRange(setting, Number(raw), writtenAs);
    case "duration":
    case "size": {
      const parsed = setting.kind === "duration" ? parseDuration(raw) : parseSize(raw);
      return parsed.ok
        ? checkRange(setting, parsed.value, writtenAs)
        : failure(writtenAs, parsed.reason);
    }
  }
}

/** The words Go accepts. */
function parseBoolean(raw: string, writtenAs: string): ValueResult {
  if (["1", "t", "T", "true", "TRUE", "True"].includes(raw)) return { ok: true, value: true };
  if (["0", "f", "F", "false", "FALSE", "False"].includes(raw)) return { ok: true, value: false };
  return failure(writtenAs, `"${raw}" is neither true nor false`);
}

function parseChoice(setting: Setting, raw: string, writtenAs: string): ValueResult {
  const choices = setting.choices ?? [];
  if (choices.includes(raw)) return { ok: true, value: raw };
  const near = suggest(raw, choices);
  const hint = near === null ? "" : ` Did you mean ${near}?`;
  return failure(
    writtenAs,
    `"${raw}" is not one of ${choices.join(", ")}.${hint}`.replace(/\.$/, ""),
  );
}

function checkRange(setting: Setting, value: number, writtenAs: string): ValueResult {
  if (!Number.isSafeInteger(value) && setting.kind !== "duration") {
    return failure(writtenAs, `${value} is too large`);
  }
  if (setting.min !== undefined && value < setting.min) {
    return failure(
      writtenAs,
      `${show(setting, value)} is below the least value ${show(setting, setting.min)}`,
    );
  }
  if (setting.max !== undefined && value > setting.max) {
    return failure(
      writtenAs,
      `${show(setting, value)} is above the largest value ${show(setting, setting.max)}`,
    );
  }
  return { ok: true, value };
}

function failure(writtenAs: string, reason: string): ValueResult {
  return { ok: false, message: `${writtenAs}: ${reason}` };
}

function show(setting: Setting, value: number): string {
  return formatValue(setting, value);
}

/** A value as a user would write it; secrets are masked. */
export function formatValue(setting: Setting, value: SettingValue): string {
  if (setting.isSecret === true || setting.isMasked === true)
    return value === "" || value === null ? "" : "********";
  if (value === null) return "";
  if (typeof value === "object") return value.join(",");
  if (typeof value !== "number") return String(value);
  if (setting.kind === "duration") return formatDurationSetting(value);
  if (setting.kind === "size") return formatSizeSetting(value);
  return String(value);
}
