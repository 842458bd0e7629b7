/** Environment twins: `-metastore.raft.dir` is `HEARTH_METASTORE_RAFT_DIR`. A secret's variable names its file. */
import { suggest } from "../base/index.ts";
import { isServiceVariable } from "./foreign.ts";
import {
  COMMAND_VARIABLES,
  environmentVariables,
  isYamlOnly,
  settingByVariable,
} from "./settings.ts";
import type { Assignment, Problem, SourceResult } from "./types.ts";

const PREFIX = "HEARTH_";

/** Reads every variable with our prefix; an unknown one is an error, since it was surely meant to do something. */
export function readEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): SourceResult {
  const assignments: Assignment[] = [];
  const problems: Problem[] = [];
  for (const variable of Object.keys(environment).sort()) {
    const value = environment[variable];
    if (!variable.startsWith(PREFIX) || value === undefined) continue;
    const setting = settingByVariable(variable);
    if (setting !== undefined && !isYamlOnly(setting)) {
      const raw = setting.kind === "list" ? splitList(value) : value;
      assignments.push({
        setting,
        writtenAs: variable,
        raw,
        origin: { kind: "environment", variable },
      });
      continue;
    }
    if (COMMAND_VARIABLES.has(variable) || isServiceVariable(variable, value)) continue;
    const near = suggest(variable, environmentVariables());
    const hint = near === null ? "See hearth help config" : `Did you mean ${near}?`;
    problems.push({
      severity: "error",
      place: `env ${variable}`,
      message: `${variable}: unknown setting. ${hint}`,
    });
  }
  return { assignments, problems, foreign: [] };
}

/** Only here are commas split: a flag is repeated, YAML has lists, a variable has neither. */
function splitList(value: string): string[] {
  return value
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}
