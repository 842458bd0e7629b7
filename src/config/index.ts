export { autoReaderThreads, buildConfig, type Config } from "./config.ts";
export { type FlagQuestion, type FlagResult, parseFlags } from "./flags.ts";
export { configHash, type LoadInput, type LoadResult, loadConfig } from "./load.ts";
export type { LimitValues, PlacementLimits, TenantLimits } from "./limits.ts";
export { RULES, volatileFileSystem } from "./rules.ts";
export { parseRuntimeFiles, type RuntimeFiles } from "./runtime-file.ts";
export type { RuntimeParseRequest } from "./runtime-thread.ts";
export { RUNTIME_PARSE_TASK, RuntimeLimits, type RuntimeLimitsModules } from "./runtime-limits.ts";
export {
  COMMAND_VARIABLES,
  environmentVariable,
  isYamlOnly,
  SETTINGS,
  settingByName,
  yamlPath,
} from "./settings.ts";
export {
  type ConfigView,
  configYaml,
  formatProblems,
  runtimeYaml,
  type ShownSetting,
  shownSettings,
} from "./show.ts";
export {
  describeOrigin,
  type Origin,
  type Problem,
  type Setting,
  type SettingValue,
} from "./types.ts";
export { formatValue } from "./values.ts";
