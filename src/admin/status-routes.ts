/** What a node knows of itself, as JSON and YAML: the source of `hearth status` and of the admin page. */
import type { Health } from "./health.ts";
import { json, text, YAML_TYPE } from "./responses.ts";
import type { AdminRequest, AdminResponse, Route } from "./types.ts";
import { invalidArgument } from "../base/index.ts";

/** One node, at one moment. Every field is always there; null is "unknown" or "does not apply". */
export interface NodeStatus {
  readonly nodeId: string;
  readonly clusterId: string | null;
  readonly version: string;
  /** One word for a table: starting, ready, not ready, stopping. */
  readonly state: string;
  /** Why it is not ready, in words; null when it is. */
  readonly problem: string | null;
  readonly uptimeMs: number;
  readonly pid: number;
  readonly httpAddress: string;
  readonly websocketAddress: string | null;
  readonly listener: string | null;
  readonly dataDirectory: string;
  readonly logDirectory: string;
  readonly raft: {
    readonly role: string;
    readonly leaderId: string | null;
    /** Since this node learned that it leads, ms; null: nobody leads. */
    readonly leaderForMs: number | null;
    readonly term: number;
    readonly lastIndex: number;
    readonly commitIndex: number;
    readonly appliedIndex: number;
    readonly voters: number;
    readonly reachableVoters: number;
  } | null;
  readonly index: {
    readonly blocks: number;
    readonly datasets: number;
    readonly bytes: number;
    readonly databaseBytes: number;
  } | null;
  /** Null until the index is open. */
  readonly compaction: {
    /** False: the first poll of a worker turns it on. */
    readonly isOn: boolean;
    /** What is paused, 0 when nothing is. */
    readonly pausedLevels: number;
    readonly pausedTenants: number;
    readonly jobsRunning: number;
    readonly jobsWaiting: number;
    /** Exhausted or quarantined: nobody gets them. */
    readonly jobsFailed: number;
    readonly queuedBlocks: number;
    /** Since the oldest block that waits was added to its batch, ms; null: nothing waits. */
    readonly oldestWaitingMs: number | null;
  } | null;
  /** Comparisons of the state with those of the other members, since the start; null before it. */
  readonly stateCheck: {
    /** Newest log index at which they were equal; 0: none yet. */
    readonly lastEqualIndex: number;
    readonly mismatches: number;
  } | null;
  readonly logBytes: number | null;
  readonly readers: {
    readonly running: number;
    readonly wanted: number;
    readonly connections: number | null;
  };
}

export interface BuildInfo {
  readonly version: string;
  readonly revision: string;
  readonly branch: string;
  readonly buildUser: string;
  readonly buildDate: string;
  /** Of the reference's field set; here what the program runs on. */
  readonly goVersion: string;
}

export interface StatusModules {
  readonly status: () => NodeStatus;
  readonly buildInfo: BuildInfo;
  /** YAML of the effective configuration. */
  readonly configYaml: (view: "all" | "diff" | "defaults") => string;
  /** YAML of the limits per tenant. */
  readonly runtimeYaml: (view: "all" | "diff") => string;
  readonly health: Health;
  /** Unix ms. */
  readonly nowMs: () => number;
}

export function statusRoutes(modules: StatusModules): Route[] {
  const config = (view: "all" | "diff" | "defaults"): AdminResponse =>
    yaml(modules.configYaml(view));
  return [
    {
      method: "GET",
      path: "/api/v1/status",
      summary: "What this node knows of itself",
      handle: () => json(200, nodeStatusBody(modules)),
    },
    {
      method: "GET",
      path: "/api/v1/status/config",
      summary: "Effective configuration as YAML; ?mode=diff shows what differs from the defaults",
      handle: (request) => config(readMode(request, ["all", "diff", "defaults"])),
    },
    {
      method: "GET",
      path: "/api/v1/status/config/diff",
      summary: "Configuration that differs from the defaults",
      handle: () => config("diff"),
    },
    {
      method: "GET",
      path: "/api/v1/status/config/default",
      summary: "Default configuration",
      handle: () => config("defaults"),
    },
    {
      method: "GET",
      path: "/api/v1/status/buildinfo",
      summary: "Version of this program",
      handle: () => json(200, { status: "success", data: modules.buildInfo }),
    },
    {
      method: "GET",
      path: "/runtime_config",
      summary:
        "Limits per tenant that are in effect, as YAML; ?mode=diff shows what differs from the global ones",
      handle: (request) => yaml(modules.runtimeYaml(readMode(request, ["all", "diff"]))),
    },
  ];
}

function yaml(body: string): AdminResponse {
  return text(200, body, { "content-type": YAML_TYPE });
}

function readMode<Mode extends string>(
  request: AdminRequest,
  modes: readonly ["all", ...Mode[]],
): "all" | Mode {
  const wanted = request.query.get("mode") ?? "all";
  const mode = modes.find((known) => known === wanted);
  if (mode !== undefined) return mode;
  throw invalidArgument("bad_mode", `mode: "${wanted}" is not one of ${modes.join(", ")}`);
}

/** What GET /api/v1/status answers; other members ask for it, too. */
export function nodeStatusBody({
  status,
  health,
  nowMs,
}: Pick<StatusModules, "status" | "health" | "nowMs">): object {
  const checks = (["live", "ready"] as const).flatMap((kind) =>
    health.evaluate(kind).map(({ name, result }) => ({
      kind,
      name,
      state: result.state,
      reason: result.state === "ok" ? null : result.reason,
    })),
  );
  return {
    schema: "hearth/node-status/v1",
    asOf: new Date(nowMs()).toISOString(),
    ...status(),
    checks,
  };
}
