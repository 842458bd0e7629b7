/** Task: reads the files with limits per tenant. A large one would keep the main thread from its heartbeats. */
import { parseRuntimeFiles, type RuntimeFiles, type RuntimeText } from "./runtime-file.ts";

export interface RuntimeParseRequest {
  readonly texts: readonly RuntimeText[];
}

export function runTask({ texts }: RuntimeParseRequest): RuntimeFiles {
  return parseRuntimeFiles(texts);
}
