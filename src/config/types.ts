/**
 * The vocabulary of configuration: a setting as data, where a value came from, what was wrong with it.
 *
 * Flags, environment, YAML, help, `config show`, the status page and the generated reference all read the same
 * table of settings, so that a thing has one name, one default and one description everywhere.
 */

export const SETTING_KINDS = {
  text: "text",
  integer: "integer",
  boolean: "boolean",
  /** Held in ms, written with a unit. */
  duration: "duration",
  /** Held in bytes, written with a unit. */
  size: "size",
  /** One of `choices`. */
  choice: "choice",
  /** A flag given several times, a YAML list, comma-separated text in the environment. */
  list: "list",
  /** Any YAML value, held as JSON text; a rule says what it may be. */
  tree: "tree",
} as const;

export type SettingKind = keyof typeof SETTING_KINDS;

export type SettingValue = string | number | boolean | readonly string[] | null;

/** One setting: the single source of its flag, environment name, YAML key, default and help. */
export interface Setting {
  /** Flag without the dash, and the name in our own code: `metastore.raft.dir`. Unique. */
  readonly name: string;
  readonly kind: SettingKind;
  readonly default: SettingValue;
  /** One or two sentences without a final period: what it does, what it depends on. */
  readonly help: string;
  /** YAML path where it is not the flag's name with underscores: `server.log_level`; null: not in YAML. */
  readonly yaml?: string | null;
  /** Inclusive bounds, in the unit the value is held in. */
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  /** Only ever read from a file: the flag and the environment name the file. Masked wherever it is shown. */
  readonly isSecret?: boolean;
  /** A secret that the reference takes as it is, in its flag or in the file: masked wherever it is shown, and no more. */
  readonly isMasked?: boolean;
  /** False: known from the reference and checked, but without a function in this version. */
  readonly isUsed?: boolean;
  /** Not listed by the short help. */
  readonly isAdvanced?: boolean;
}

/** Where the winning value of a setting came from. */
export type Origin =
  | { readonly kind: "default" }
  | { readonly kind: "flag" }
  | { readonly kind: "environment"; readonly variable: string }
  | {
      readonly kind: "file";
      readonly file: string;
      readonly line: number;
      readonly column: number;
    };

export type Severity = "error" | "warning";

export interface Problem {
  readonly severity: Severity;
  /** `prod.yaml:14:5`, `flag`, `env HEARTH_X`, `flag + prod.yaml:11`. */
  readonly place: string;
  /** What is wrong and what to write instead; no final period. */
  readonly message: string;
}

/** A value as somebody wrote it, before it is known to be good. */
export interface Assignment {
  readonly setting: Setting;
  /** How the writer named it, for messages: `-metastore.raft.dir`, `metastore.raft.dir`, `HEARTH_METASTORE_RAFT_DIR`. */
  readonly writtenAs: string;
  /** One text, or the items of a list. Null: a YAML value without content, which leaves the default. */
  readonly raw: string | readonly string[] | null;
  readonly origin: Origin;
  /** Of a value from a file: what is odd about it, told when no flag or variable takes its place. */
  readonly doubt?: string | undefined;
}

/** What one source of configuration said. */
export interface SourceResult {
  readonly assignments: Assignment[];
  readonly problems: Problem[];
  /** Names that belong to other components of a shared file or argument list: accepted, listed once. */
  readonly foreign: string[];
}

/** How a place is written in messages and by `config show --origin`. */
export function describeOrigin(origin: Origin): string {
  switch (origin.kind) {
    case "default":
      return "default";
    case "flag":
      return "flag";
    case "environment":
      return `env ${origin.variable}`;
    case "file":
      return `${origin.file}:${origin.line}:${origin.column}`;
  }
}

/** Shorter, for a problem of several settings: `prod.yaml:11`. */
export function describeOriginShort(origin: Origin): string {
  return origin.kind === "file" ? `${origin.file}:${origin.line}` : describeOrigin(origin);
}
