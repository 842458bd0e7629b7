/** Help of the server's flags, from the table of settings. */
import {
  environmentVariable,
  formatValue,
  isYamlOnly,
  SETTINGS,
  type Setting,
  yamlPath,
} from "../../config/index.ts";
import { wrap } from "../help.ts";

const LINE_WIDTH = 100;
const INDENT = "    \t";

/** `-help` lists what has a function here; `-help-all` everything that is accepted by name. */
export function serverHelp(kind: "help" | "help-all"): string {
  const shown = SETTINGS.filter(
    (setting) => !isYamlOnly(setting) && (kind === "help-all" || isCommon(setting)),
  );
  const lines = [
    "Usage of hearth:",
    "  Flags may be written -name=value, -name value or --name=value; each has a twin in the environment",
    "  (HEARTH_METASTORE_RAFT_DIR) and in the YAML file (metastore.raft.dir). Flag > environment > file > default.",
    "",
    ...shown.flatMap(flagLines),
  ];
  if (kind === "help")
    lines.push(
      "",
      "To see all flags, use -help-all; hearth help config shows YAML keys and variables.",
    );
  return lines.join("\n");
}

function isCommon(setting: Setting): boolean {
  return setting.isUsed !== false && setting.isAdvanced !== true;
}

function flagLines(setting: Setting): string[] {
  const kind = setting.kind === "boolean" ? "" : ` ${setting.kind}`;
  const sentences = [setting.help, ...notes(setting)].join(". ");
  return [
    `  -${setting.name}${kind}`,
    ...wrap(sentences, LINE_WIDTH - 8).map((line) => `${INDENT}${line}`),
  ];
}

function notes(setting: Setting): string[] {
  const parts: string[] = [];
  if (setting.choices !== undefined) parts.push(`One of ${setting.choices.join(", ")}`);
  if (setting.isUsed === false) parts.push("Without a function in this version");
  const value = formatValue(setting, setting.default);
  parts.push(value === "" ? "No default" : `Default ${value}`);
  return parts;
}

/** `hearth help config`: the three names of each setting. */
export function settingsHelp(): string {
  const lines: string[] = [];
  for (const setting of SETTINGS) {
    if (!isCommon(setting)) continue;
    const path = yamlPath(setting);
    lines.push(`-${setting.name}`);
    lines.push(
      ...wrap(`${[setting.help, ...notes(setting)].join(". ")}.`, LINE_WIDTH - 4).map(
        (line) => `    ${line}`,
      ),
    );
    lines.push(
      `    environment ${environmentVariable(setting)}${path === null ? "" : `, YAML ${path}`}`,
      "",
    );
  }
  lines.push(
    "hearth config show --origin prints the effective values; docs/reference/config.md has every setting.",
  );
  return lines.join("\n");
}
