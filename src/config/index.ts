export { autoReaderThreads, buildConfig, type Config } from "./config.ts";
export { type FlagQuestion, type FlagResult, parseFlags } from "./flags.ts";
export { configHash, type LoadInput, type LoadResult, loadConfig } from "./load.ts";
export { RULES, volatileFileSystem } from "./rules.ts";
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
