/**
 * Sealed segments are not read at a start. When a read finds one damaged, an empty file in the directory makes the
 * next start look at all of them, so that the damage is dealt with there instead of being met again and again.
 */

import { join } from "node:path";
import { isHearthError, type Logger } from "../base/index.ts";
import { type FileSystem, OPEN_MODE } from "../files/index.ts";

const SUSPECT_NAME = "suspect";

export interface SuspectModules {
  readonly files: FileSystem;
  readonly logger: Logger;
}

/** Never throws: the error of the read is what counts. */
export async function noteSuspect(
  directory: string,
  { files, logger }: SuspectModules,
  error: unknown,
): Promise<void> {
  if (!isHearthError(error) || error.reason !== "log_damaged") return;
  logger.error("log segment is damaged, the next start checks all", { reason: error.message });
  try {
    if ((await files.list(directory)).includes(SUSPECT_NAME)) return;
    await (await files.open(join(directory, SUSPECT_NAME), OPEN_MODE.create)).close();
    await files.syncDirectory(directory);
  } catch (cause) {
    logger.warn("cannot mark the log as suspect", { reason: String(cause) });
  }
}

export function isSuspect(names: readonly string[]): boolean {
  return names.includes(SUSPECT_NAME);
}

/** To be called when all segments have been checked and what was damaged has been cut, durably. */
export async function clearSuspect(files: FileSystem, directory: string): Promise<void> {
  await files.remove(join(directory, SUSPECT_NAME));
  await files.syncDirectory(directory);
}
