/**
 * Compaction over HTTP: what waits, what is worked on, what would be done, and an operator's hand on it. Reads see every
 * change acknowledged before and changes go through the log, whichever node is asked.
 */
import { HearthError, invalidArgument, isHearthError, type Logger } from "../base/index.ts";
import type {
  CallOptions,
  CompactionAdmin,
  HearthClient,
  JsonValue,
  PolicyResultView,
} from "../client/index.ts";
import { requireDeliberate } from "./foreign-page.ts";
import {
  booleanField,
  field,
  type JsonObject,
  objectField,
  readJsonObject,
  refuseUnknownFields,
  textField,
  textListField,
} from "./json-input.ts";
import { readCount, readSwitch, readTimeout, refuseUnknownParameters } from "./query-input.ts";
import { json } from "./responses.ts";
import type { AdminRequest, AdminResponse, Route } from "./types.ts";

export type CompactionClient = Pick<HearthClient, "compaction">;

export interface CompactionRouteModules {
  /** Null until a reader thread can serve. */
  readonly client: () => CompactionClient | null;
  readonly logger: Logger;
  /** Unix ms. */
  readonly nowMs: () => number;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const ACTIONS = ["retry", "quarantine", "cancel"] as const;
/** Of a line in the log of the node. */
const LOGGED_NAMES_MAX = 5;

export function compactionRoutes(modules: CompactionRouteModules): Route[] {
  const api = new CompactionApi(modules);
  return [
    {
      method: "GET",
      path: "/api/v1/compaction",
      summary: "Compaction as a whole: policy, levels, jobs by status, workers",
      handle: (request) => api.status(request),
    },
    {
      method: "GET",
      path: "/api/v1/compaction/queues",
      summary: "What waits for compaction, longest first; ?level=, ?tenant=, ?byTenant, ?limit=",
      handle: (request) => api.queues(request),
    },
    {
      method: "GET",
      path: "/api/v1/compaction/plan",
      summary: "What the planner would do if a worker asked for ?capacity= jobs (32) now",
      handle: (request) => api.preview(request),
    },
    {
      method: "POST",
      path: "/api/v1/compaction/policy",
      summary: "Change the policy ({set, dryRun}); null goes back to the node's initial value",
      handle: (request) => api.changePolicy(request),
    },
    {
      method: "POST",
      path: "/api/v1/compaction/pause",
      summary: "Pause levels and tenants ({levels, tenants, dryRun}); what runs goes on",
      handle: (request) => api.pause(request, "pause"),
    },
    {
      method: "POST",
      path: "/api/v1/compaction/resume",
      summary: "Resume levels and tenants ({levels, tenants, all, dryRun})",
      handle: (request) => api.pause(request, "resume"),
    },
    {
      method: "GET",
      path: "/api/v1/jobs",
      summary: "Compaction jobs by name; ?level=, ?tenant=, ?status=, ?limit=, ?after=",
      handle: (request) => api.jobs(request),
    },
    {
      method: "POST",
      path: "/api/v1/jobs",
      summary: "Retry, quarantine or cancel jobs ({action, names, reason, dryRun})",
      handle: (request) => api.control(request),
    },
    {
      method: "GET",
      path: "/api/v1/jobs/{name}",
      summary: "One compaction job with its source blocks",
      handle: (request, { name = "" }) => api.job(request, name),
    },
  ];
}

class CompactionApi {
  readonly #modules: CompactionRouteModules;

  constructor(modules: CompactionRouteModules) {
    this.#modules = modules;
  }

  async status(request: AdminRequest): Promise<AdminResponse> {
    refuseUnknownParameters(request, ["timeout"]);
    return this.#answer("compaction", await this.#admin().status(callOf(request)));
  }

  async queues(request: AdminRequest): Promise<AdminResponse> {
    refuseUnknownParameters(request, ["level", "tenant", "byTenant", "limit", "timeout"]);
    const page = await this.#admin().queues({
      ...callOf(request),
      ...filterOf(request),
      byTenant: readSwitch(request, "byTenant"),
    });
    return this.#answer("compaction-queues", page);
  }

  async preview(request: AdminRequest): Promise<AdminResponse> {
    refuseUnknownParameters(request, ["capacity", "timeout"]);
    const capacity = readCount(request, "capacity", 0);
    const wish = capacity === 0 ? {} : { capacity };
    return this.#answer(
      "compaction-plan",
      await this.#admin().preview({ ...callOf(request), ...wish }),
    );
  }

  async jobs(request: AdminRequest): Promise<AdminResponse> {
    refuseUnknownParameters(request, ["level", "tenant", "status", "limit", "after", "timeout"]);
    const status = request.query.get("status");
    const after = request.query.get("after");
    const page = await this.#admin().jobs({
      ...callOf(request),
      ...filterOf(request),
      // What it may be is checked where the jobs are, and told from there.
      ...(status === null ? {} : { status: status as "assigned" }),
      ...(after === null ? {} : { after }),
    });
    return this.#answer("job-list", page);
  }

  async job(request: AdminRequest, name: string): Promise<AdminResponse> {
    refuseUnknownParameters(request, ["timeout"]);
    return this.#answer("job", await this.#admin().job(name, callOf(request)));
  }

  async control(request: AdminRequest): Promise<AdminResponse> {
    requireDeliberate(request);
    refuseUnknownParameters(request, ["timeout"]);
    const body = readJsonObject(request);
    refuseUnknownFields(body, ["action", "names", "reason", "dryRun"]);
    const action = ACTIONS.find((name) => name === field(body, "action"));
    if (action === undefined)
      throw invalidArgument("bad_field", `action must be one of ${ACTIONS.join(", ")}`);
    const names = textListField(body, "names");
    const reason = textField(body, "reason", "");
    const dryRun = booleanField(body, "dryRun");
    const shown = names.slice(0, LOGGED_NAMES_MAX).join(" ").slice(0, 512);
    const fields = { action: `${action} jobs`, count: names.length, names: shown, dryRun };
    const options = { ...callOf(request), reason, dryRun };
    const work = this.#admin().control(action, names, options);
    return this.#answer("job-control", await this.#audited(fields, request, work));
  }

  async changePolicy(request: AdminRequest): Promise<AdminResponse> {
    requireDeliberate(request);
    refuseUnknownParameters(request, ["timeout"]);
    const body = readJsonObject(request);
    refuseUnknownFields(body, ["set", "dryRun"]);
    const set = objectField(body, "set");
    if (set === undefined) throw invalidArgument("bad_field", "set is missing: {set: {leaseMs}}");
    return this.#change(request, body, { set: set as { [name: string]: JsonValue } });
  }

  async pause(request: AdminRequest, verb: "pause" | "resume"): Promise<AdminResponse> {
    requireDeliberate(request);
    refuseUnknownParameters(request, ["timeout"]);
    const body = readJsonObject(request);
    const mayBeAll = verb === "resume";
    refuseUnknownFields(body, ["levels", "tenants", ...(mayBeAll ? ["all"] : []), "dryRun"]);
    if (mayBeAll && booleanField(body, "all"))
      return this.#change(request, body, { set: { pausedLevels: [], pausedTenants: [] } });
    const wish = { levels: levelsOf(body), tenants: textListField(body, "tenants") };
    if (wish.levels.length + wish.tenants.length === 0)
      throw invalidArgument("bad_field", `Nothing to ${verb}: name levels or tenants`);
    return this.#change(request, body, { [verb]: wish });
  }

  async #change(
    request: AdminRequest,
    body: JsonObject,
    wish: Omit<Parameters<CompactionAdmin["changePolicy"]>[0], "dryRun">,
  ): Promise<AdminResponse> {
    const dryRun = booleanField(body, "dryRun");
    const fields = {
      action: "change compaction policy",
      wish: JSON.stringify(wish).slice(0, 512),
      dryRun,
    };
    const work = this.#admin().changePolicy({ ...callOf(request), ...wish, dryRun });
    return this.#answer(
      "compaction-policy-change",
      await this.#audited<PolicyResultView>(fields, request, work),
    );
  }

  #admin(): CompactionAdmin {
    const client = this.#modules.client();
    if (client !== null) return client.compaction;
    throw new HearthError("unavailable", "This node is not serving yet", {
      reason: "not_serving",
      next: "GET /ready says what it is doing",
      retryAfterMs: 1_000,
    });
  }

  async #audited<T extends { readonly changed: boolean; readonly logIndex: number | null }>(
    fields: Readonly<Record<string, string | number | boolean>>,
    { requestId }: AdminRequest,
    work: Promise<T>,
  ): Promise<T> {
    const { logger } = this.#modules;
    try {
      const result = await work;
      const { changed, logIndex } = result;
      if (fields.dryRun !== true)
        logger.info("asked to change", { ...fields, requestId, changed, logIndex: logIndex ?? 0 });
      return result;
    } catch (error) {
      const reason = isHearthError(error) ? error.reason : "internal";
      const outcome = error instanceof Error ? error.message : String(error);
      logger.warn("asked to change in vain", { ...fields, requestId, reason, outcome });
      throw error;
    }
  }

  #answer(schema: string, value: object): AdminResponse {
    const asOf = new Date(this.#modules.nowMs()).toISOString();
    return json(200, { schema: `hearth/${schema}/v1`, asOf, ...value });
  }
}

function callOf(request: AdminRequest): CallOptions {
  return { signal: request.signal, timeoutMs: readTimeout(request, DEFAULT_TIMEOUT_MS) };
}

function filterOf(request: AdminRequest): { level?: number; tenant?: string; limit?: number } {
  const tenant = request.query.get("tenant");
  // Also 0 goes on: what is too little is said where the bounds are.
  const limit = request.query.has("limit") ? readCount(request, "limit", 0) : null;
  return {
    ...(request.query.has("level") ? { level: readCount(request, "level", 0) } : {}),
    ...(tenant === null ? {} : { tenant }),
    ...(limit === null ? {} : { limit }),
  };
}

function levelsOf(body: JsonObject): number[] {
  const levels = field(body, "levels") ?? [];
  const isLevel = (level: unknown): level is number =>
    typeof level === "number" && Number.isInteger(level) && level >= 0;
  if (Array.isArray(levels) && levels.every(isLevel)) return levels;
  throw invalidArgument("bad_field", "levels must be a list of levels, such as [0, 1]");
}
