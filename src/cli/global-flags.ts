/** Flags of every command, as data, and their values. */
import { parseDuration } from "../base/index.ts";
import {
  type CommandSpec,
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

/** Of commands that change something. */
const DRY_RUN_FLAG: FlagSpec = { name: "dry-run", help: "Say what would happen, and do nothing" };
const YES_FLAG: FlagSpec = { name: "yes", help: "Do not ask" };

/** What a command takes for itself, the flags of changing something among it. */
export function ownFlags({ flags, danger }: CommandSpec): FlagSpec[] {
  if (danger === undefined) return [...flags];
  return danger === "severe" ? [...flags, DRY_RUN_FLAG] : [...flags, DRY_RUN_FLAG, YES_FLAG];
}

/** Where a command asks nodes: which ones, and how long it waits. */
export function nodeFlags({ usesNode, timeout }: CommandSpec): FlagSpec[] {
  if (usesNode !== true) return [];
  if (timeout === undefined) return [...NODE_FLAGS];
  const whenAbsent = `HEARTH_TIMEOUT, else ${timeout}`;
  return NODE_FLAGS.map((flag) => (flag.name === "timeout" ? { ...flag, whenAbsent } : flag));
}

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
  spec: CommandSpec,
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
    timeoutMs: readTimeout(
      flags.text("timeout") ?? environment.HEARTH_TIMEOUT ?? spec.timeout ?? DEFAULT_TIMEOUT,
    ),
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
  const scheme = /^([a-z][a-z\d+.-]*):\/\//i.exec(written)?.[1]?.toLowerCase();
  const address = scheme === undefined ? `http://${written}` : written;
  if (!URL.canParse(address) || !["http", "https", undefined].includes(scheme)) {
    throw new UsageError(`--endpoint: "${written}" is not an address. Write http://host:4040`);
  }
  return address.replace(/\/+$/, "");
}

function readTimeout(written: string): number {
  const parsed = parseDuration(written);
  if (!parsed.ok) throw new UsageError(`--timeout: ${parsed.reason}`);
  if (parsed.value <= 0) throw new UsageError("--timeout must be more than 0");
  return parsed.value;
}
