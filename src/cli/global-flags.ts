/** Flags of every command, as data, and their values. */
import { parseDuration } from "../base/index.ts";
import {
  type FlagSpec,
  type GlobalFlags,
  type ParsedFlags,
  type ProgressMode,
  UsageError,
} from "./command.ts";

export const DEFAULT_ENDPOINT = "http://127.0.0.1:4040";
const DEFAULT_TIMEOUT = "5s";

const PROGRESS_MODES: readonly ProgressMode[] = ["auto", "bar", "text", "json", "none"];

/** Of commands that ask a node. */
export const NODE_FLAGS: readonly FlagSpec[] = [
  {
    name: "endpoint",
    value: "URL",
    isRepeatable: true,
    whenAbsent: `HEARTH_ENDPOINTS, else ${DEFAULT_ENDPOINT}`,
    help: "HTTP address of a node; give several and the first that answers is asked",
  },
  {
    name: "timeout",
    value: "DURATION",
    whenAbsent: `HEARTH_TIMEOUT, else ${DEFAULT_TIMEOUT}`,
    help: "Longest wait for an answer",
  },
];

/** Of every command. */
export const OUTPUT_FLAGS: readonly FlagSpec[] = [
  { name: "json", help: "Print JSON; errors become JSON on stderr" },
  { name: "quiet", help: "No talk on stderr but errors" },
  { name: "no-color", help: "No colours; also NO_COLOR, TERM=dumb, or no terminal" },
  {
    name: "progress",
    value: "MODE",
    whenAbsent: "auto",
    help: "How long work shows itself: auto, bar, text, json or none",
  },
  { name: "help", help: "Help for this command" },
];

/** Errors: UsageError naming the flag or the variable. */
export function readGlobals(
  flags: ParsedFlags,
  environment: Readonly<Record<string, string | undefined>>,
): GlobalFlags {
  const progress = flags.text("progress") ?? "auto";
  if (!PROGRESS_MODES.includes(progress as ProgressMode)) {
    throw new UsageError(`--progress: "${progress}" is not one of ${PROGRESS_MODES.join(", ")}`);
  }
  return {
    endpoints: readEndpoints(flags, environment),
    isJson: flags.has("json"),
    isQuiet: flags.has("quiet"),
    timeoutMs: readTimeout(flags, environment),
    progress: progress as ProgressMode,
  };
}

function readEndpoints(
  flags: ParsedFlags,
  environment: Readonly<Record<string, string | undefined>>,
): string[] {
  const given = flags.list("endpoint");
  const variable = environment.HEARTH_ENDPOINTS ?? "";
  const written = given.length > 0 ? given : variable.split(/[\s,]+/).filter((word) => word !== "");
  return (written.length > 0 ? written : [DEFAULT_ENDPOINT]).map(normalizeEndpoint);
}

/** `host:port` is short for `http://host:port`; a trailing slash says nothing. */
function normalizeEndpoint(written: string): string {
  const address = /^https?:\/\//.test(written) ? written : `http://${written}`;
  if (!URL.canParse(address)) {
    throw new UsageError(`--endpoint: "${written}" is not an address. Write http://host:4040`);
  }
  return address.replace(/\/+$/, "");
}

function readTimeout(
  flags: ParsedFlags,
  environment: Readonly<Record<string, string | undefined>>,
): number {
  const written = flags.text("timeout") ?? environment.HEARTH_TIMEOUT ?? DEFAULT_TIMEOUT;
  const parsed = parseDuration(written);
  if (!parsed.ok) throw new UsageError(`--timeout: ${parsed.reason}`);
  if (parsed.value <= 0) throw new UsageError("--timeout must be more than 0");
  return parsed.value;
}
