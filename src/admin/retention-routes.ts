/** Retention for operators: what it is set to, what it would take, and a pass on demand. */
import { HearthError } from "../base/index.ts";
import type {
  ActivityResult,
  ActivityStatus,
  RetentionForecast,
  RetentionOptions,
  RetentionPeriods,
} from "../leader/index.ts";
import { activityBody } from "./activity-routes.ts";
import { requireDeliberate } from "./foreign-page.ts";
import { readCount, readDuration, refuseUnknownParameters } from "./query-input.ts";
import { json } from "./responses.ts";
import type { AdminRequest, AdminResponse, Route } from "./types.ts";

/** What a node offers about its retention. */
export interface RetentionControl {
  readonly options: RetentionOptions;
  periods(): RetentionPeriods;
  /** Why the runtime file is not what counts, one line each; empty: it is. */
  problems(): readonly string[];
  status(): ActivityStatus;
  /** By the state of this member, wherever it is asked. */
  forecast(atMs: number, countMax: number, signal: AbortSignal): Promise<RetentionForecast>;
  /** A pass now. Errors: `not_leader`. */
  run(): Promise<ActivityResult>;
}

export interface RetentionRouteModules {
  /** Null until the replica runs. */
  readonly retention: () => RetentionControl | null;
  readonly nodeId: string;
  /** Unix ms. */
  readonly nowMs: () => number;
}

const HOUR_MS = 3_600_000;
const AHEAD_MAX_MS = 10 * 366 * 24 * HOUR_MS;
/** Shards that a forecast names by default, and at most: about 200 bytes each. */
const LISTED = 100;
const LISTED_MAX = 10_000;
/** Of a runtime file; the log has all. */
const PROBLEMS_MAX = 20;

export function retentionRoutes(modules: RetentionRouteModules): Route[] {
  const api = new RetentionApi(modules);
  return [
    {
      method: "GET",
      path: "/api/v1/retention",
      summary: "Periods, grace and the newest retention pass on this node",
      handle: (request) => api.show(request),
    },
    {
      method: "GET",
      path: "/api/v1/retention/forecast",
      summary:
        "Shards that the next pass takes, and those of the time ahead (?ahead=24h&limit=100), with bytes",
      handle: (request) => api.forecast(request),
    },
    {
      method: "POST",
      path: "/api/v1/retention/run",
      summary: "A retention pass now, on the leader",
      handle: (request) => api.run(request),
    },
  ];
}

class RetentionApi {
  readonly #modules: RetentionRouteModules;

  constructor(modules: RetentionRouteModules) {
    this.#modules = modules;
  }

  show(request: AdminRequest): AdminResponse {
    refuseUnknownParameters(request, []);
    const control = this.#control();
    const { intervalMs, graceMs, shardsPerPassMax } = control.options;
    const { defaultMs, overridesMs } = control.periods();
    const overrides = [...overridesMs].map(([tenant, periodMs]) => ({ tenant, periodMs }));
    return this.#answer("hearth/retention/v1", {
      intervalMs,
      graceMs,
      shardsPerPassMax,
      defaultPeriodMs: defaultMs,
      overrides: overrides.sort((a, b) => (a.tenant < b.tenant ? -1 : 1)).slice(0, LISTED_MAX),
      problems: control.problems().slice(0, PROBLEMS_MAX),
      activity: activityBody(control.status()),
    });
  }

  async forecast(request: AdminRequest): Promise<AdminResponse> {
    refuseUnknownParameters(request, ["ahead", "limit", "timeout"]);
    const control = this.#control();
    const aheadMs = readDuration(request, "ahead", AHEAD_MAX_MS) ?? 24 * HOUR_MS;
    const countMax = Math.min(readCount(request, "limit", LISTED), LISTED_MAX);
    const nowMs = this.#modules.nowMs();
    const nextAtMs = control.status().nextAtMs ?? nowMs;
    const passMax = Math.min(countMax, control.options.shardsPerPassMax);
    const next = await control.forecast(nextAtMs, passMax, request.signal);
    const ahead = await control.forecast(nowMs + aheadMs, countMax, request.signal);
    return this.#answer("hearth/retention-forecast/v1", {
      shardsPerPassMax: control.options.shardsPerPassMax,
      nextPass: forecastBody(next),
      ahead: forecastBody(ahead),
    });
  }

  async run(request: AdminRequest): Promise<AdminResponse> {
    requireDeliberate(request);
    refuseUnknownParameters(request, ["timeout"]);
    const { outcome, text, reason = null } = await this.#control().run();
    return this.#answer("hearth/activity-run/v1", { activity: "retention", outcome, text, reason });
  }

  #control(): RetentionControl {
    return available(this.#modules.retention());
  }

  #answer(schema: string, fields: object): AdminResponse {
    const { nowMs, nodeId } = this.#modules;
    const asOf = new Date(nowMs()).toISOString();
    return json(200, { schema, asOf, askedNode: nodeId, ...fields });
  }
}

/** What a duty offers. Errors: `unavailable` while the node is still starting. */
export function available<T>(control: T | null): T {
  if (control !== null) return control;
  throw new HearthError("unavailable", "This node is still starting", {
    reason: "not_serving",
    next: "GET /ready says what it is doing",
    retryAfterMs: 1_000,
  });
}

function forecastBody({ atMs, totals, shards }: RetentionForecast): object {
  return {
    at: new Date(atMs).toISOString(),
    shards: totals.shards,
    blocks: totals.blocks,
    bytes: totals.bytes,
    listed: shards.map((shard) => ({
      tenant: shard.tenant,
      partition: new Date(shard.startMs).toISOString(),
      shard: shard.shard,
      blocks: shard.blocks,
      bytes: shard.bytes,
      newestData: shard.blocks === 0 ? null : timeText(shard.newestMs),
    })),
  };
}

/** Data may claim any time; one that no calendar has is a number. */
function timeText(timeMs: number): string {
  const date = new Date(timeMs);
  return Number.isNaN(date.getTime()) ? String(timeMs) : date.toISOString();
}
