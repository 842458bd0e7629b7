/**
 * The placement over HTTP: what the bucket says, on any node; what would change and the pins, on the leader. A node that does
 * not lead names the leader in its error.
 */
import { HearthError, invalidArgument, type Logger } from "../base/index.ts";
import type {
  Pin,
  PinChange,
  PinnedBalancing,
  PlacementFilter,
  PlacementPreview,
  PlacementTable,
} from "../leader/index.ts";
import { requireDeliberate } from "./foreign-page.ts";
import {
  booleanField,
  integerField,
  type JsonObject,
  readJsonObject,
  refuseUnknownFields,
  textField,
} from "./json-input.ts";
import { readCount, readSwitch, refuseUnknownParameters } from "./query-input.ts";
import { json } from "./responses.ts";
import type { AdminRequest, AdminResponse, Route } from "./types.ts";

/** What the node's placement offers; the composition root adapts it. */
export interface PlacementControl {
  show(filter: PlacementFilter, signal: AbortSignal): Promise<PlacementTable>;
  preview(
    filter: PlacementFilter,
    change: PinChange | null,
    signal: AbortSignal,
  ): Promise<PlacementPreview>;
  /** False: the pins said so already. */
  changePins(change: PinChange, signal: AbortSignal): Promise<boolean>;
}

export interface PlacementRouteModules {
  /** Null until the node runs. */
  readonly placement: () => PlacementControl | null;
  readonly logger: Logger;
  /** Unix ms. */
  readonly nowMs: () => number;
}

const ROWS_DEFAULT = 100;
const ROWS_MAX = 10_000;
const FILTER_PARAMETERS = ["tenant", "dataset", "limit"] as const;
/** Names come from blocks, whose strings are no longer. */
const NAME_MAX_LENGTH = 1_024;

export function placementRoutes(modules: PlacementRouteModules): Route[] {
  const api = new PlacementApi(modules);
  return [
    {
      method: "GET",
      path: "/api/v1/placement",
      summary: "Placement rules, load and pins as the bucket has them; ?tenant, ?dataset, ?limit",
      handle: (request) => api.show(request),
    },
    {
      method: "GET",
      path: "/api/v1/placement/preview",
      summary: "What the next cycle of the leader would change, and how much load would move",
      handle: (request) => api.preview(request),
    },
    {
      method: "POST",
      path: "/api/v1/placement/pins",
      summary: "Pin a dataset on the leader ({tenant, dataset, shards, loadBalancing, dryRun})",
      handle: (request) => api.pin(request),
    },
    {
      method: "DELETE",
      path: "/api/v1/placement/pins",
      summary: "Unpin a dataset on the leader; ?tenant, ?dataset, ?dryRun",
      handle: (request) => api.unpin(request),
    },
  ];
}

class PlacementApi {
  readonly #modules: PlacementRouteModules;

  constructor(modules: PlacementRouteModules) {
    this.#modules = modules;
  }

  async show(request: AdminRequest): Promise<AdminResponse> {
    refuseUnknownParameters(request, FILTER_PARAMETERS);
    const table = await this.#control().show(filterOf(request), request.signal);
    return json(200, { schema: "hearth/placement/v1", asOf: this.#asOf(), ...table });
  }

  async preview(request: AdminRequest): Promise<AdminResponse> {
    refuseUnknownParameters(request, FILTER_PARAMETERS);
    const preview = await this.#control().preview(filterOf(request), null, request.signal);
    return json(200, { schema: "hearth/placement-preview/v1", asOf: this.#asOf(), ...preview });
  }

  pin(request: AdminRequest): Promise<AdminResponse> {
    requireDeliberate(request);
    refuseUnknownParameters(request, []);
    const body = readJsonObject(request);
    refuseUnknownFields(body, ["tenant", "dataset", "shards", "loadBalancing", "dryRun"]);
    const pin = pinOf(body, this.#modules.nowMs());
    return this.#change(request, { kind: "pin", pin }, booleanField(body, "dryRun"));
  }

  unpin(request: AdminRequest): Promise<AdminResponse> {
    requireDeliberate(request);
    refuseUnknownParameters(request, ["tenant", "dataset", "dryRun"]);
    const { tenant, dataset } = filterOf(request);
    if (tenant === null || dataset === null)
      throw invalidArgument("bad_pin", "Name the dataset with ?tenant= and ?dataset=");
    const change = { kind: "unpin", tenant, dataset } as const;
    return this.#change(request, change, readSwitch(request, "dryRun"));
  }

  async #change(request: AdminRequest, change: PinChange, dryRun: boolean): Promise<AdminResponse> {
    const control = this.#control();
    const { tenant, dataset } = change.kind === "pin" ? change.pin : change;
    const filter = { tenant, dataset, maxCount: 1 };
    const preview = await control.preview(filter, change, request.signal).catch((error) => {
      // A leader that has not measured yet takes pins all the same.
      if (error instanceof HearthError && error.reason === "not_measured") return null;
      throw error;
    });
    const changed = dryRun ? null : await control.changePins(change, request.signal);
    if (changed === true) {
      const { requestId } = request;
      this.#modules.logger.info("placement pins changed", {
        action: change.kind,
        tenant,
        dataset,
        requestId,
      });
    }
    const effect = preview?.changes[0] ?? null;
    const fields = { action: change.kind, tenant, dataset, dryRun, changed, effect };
    return json(200, { schema: "hearth/placement-change/v1", asOf: this.#asOf(), ...fields });
  }

  #control(): PlacementControl {
    const control = this.#modules.placement();
    if (control !== null) return control;
    throw new HearthError("unavailable", "The placement of this node has not started yet", {
      reason: "not_serving",
      next: "GET /ready says what it is doing",
      retryAfterMs: 1_000,
    });
  }

  #asOf(): string {
    return new Date(this.#modules.nowMs()).toISOString();
  }
}

function filterOf(request: AdminRequest): PlacementFilter {
  const maxCount = Math.min(ROWS_MAX, readCount(request, "limit", ROWS_DEFAULT));
  return { tenant: request.query.get("tenant"), dataset: request.query.get("dataset"), maxCount };
}

function pinOf(body: JsonObject, nowMs: number): Pin {
  const balancing = textField(body, "loadBalancing", "");
  if (!["", "fingerprint", "round-robin"].includes(balancing)) {
    const text = `loadBalancing: "${balancing}" is neither fingerprint nor round-robin`;
    throw invalidArgument("bad_pin", text);
  }
  return {
    tenant: nameField(body, "tenant"),
    dataset: nameField(body, "dataset"),
    shards: integerField(body, "shards", 0),
    loadBalancing: balancing === "" ? null : (balancing as PinnedBalancing),
    pinnedAtMs: nowMs,
  };
}

function nameField(body: JsonObject, name: string): string {
  const text = textField(body, name, "");
  if (text.length <= NAME_MAX_LENGTH) return text;
  throw invalidArgument(
    "bad_pin",
    `${name}: ${text.length} characters, ${NAME_MAX_LENGTH} allowed`,
  );
}
