import { type LoadInput, type LoadResult, loadConfig } from "../../src/config/index.ts";

export interface Sources {
  readonly argv?: readonly string[];
  readonly environment?: LoadInput["environment"];
  /** Text of the file `test.yaml`; given, the flag for it is added. */
  readonly yaml?: string;
}

/** Loads a configuration from texts alone: no file and nothing of this machine is looked at. */
export function load({ argv = [], environment = {}, yaml }: Sources): LoadResult {
  return loadConfig({
    argv: yaml === undefined ? argv : ["-config.file=test.yaml", ...argv],
    environment,
    checkMachine: false,
    readFile: () => yaml ?? "",
  });
}

export function messages(result: LoadResult): string[] {
  return result.problems.map(({ severity, place, message }) => `${severity} ${place} ${message}`);
}
