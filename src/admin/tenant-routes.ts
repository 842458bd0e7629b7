/** Deleting tenants: beginning it, looking at how far it is, and opening a name again. Any node answers. */
import { HearthError } from "../base/index.ts";
import type { TenantDeletion } from "../client/index.ts";
import { type ActivityStatus, isSuspicious } from "../leader/index.ts";
import { activityBody } from "./activity-routes.ts";
import { requireDeliberate } from "./foreign-page.ts";
import { type MetadataClientSource, servingClient } from "./metadata-routes.ts";
import { readTimeout, refuseUnknownParameters } from "./query-input.ts";
import { json } from "./responses.ts";
import type { AdminRequest, AdminResponse, MetadataClient, Route } from "./types.ts";

/** What a node offers about its part in deletions. */
export interface TenantDeletionControl {
  /** Of this process; only a leader's moves. */
  status(): ActivityStatus;
  /** The bucket of this node, in words. */
  readonly store: string;
}

export interface TenantRouteModules {
  readonly client: MetadataClientSource;
  /** Null until the replica runs. */
  readonly deletions: () => TenantDeletionControl | null;
  readonly defaultTimeoutMs: number;
  readonly nodeId: string;
  /** Unix ms. */
  readonly nowMs: () => number;
}

export function tenantRoutes(modules: TenantRouteModules): Route[] {
  const api = new TenantApi(modules);
  return [
    {
      method: "DELETE",
      path: "/api/v1/tenants/{id}",
      summary: "Hide a tenant at once and delete all that is left of it; ?confirm= its name",
      handle: (request, { id }) => api.remove(request, id ?? ""),
    },
    {
      method: "POST",
      path: "/api/v1/tenants/{id}/open",
      summary: "Let the name of a deleted tenant be used again, once its deletion is verified",
      handle: (request, { id }) => api.open(request, id ?? ""),
    },
    {
      method: "GET",
      path: "/api/v1/tenant-deletions",
      summary:
        "Deletions of tenants, how far they are, and reports of those that are over (?tenant=)",
      handle: (request) => api.list(request),
    },
  ];
}

class TenantApi {
  readonly #modules: TenantRouteModules;

  constructor(modules: TenantRouteModules) {
    this.#modules = modules;
  }

  async remove(request: AdminRequest, tenant: string): Promise<AdminResponse> {
    requireDeliberate(request);
    refuseUnknownParameters(request, ["confirm", "timeout"]);
    if (request.query.get("confirm") !== tenant) throw unconfirmed(tenant);
    const options = this.#callOptions(request);
    const { logIndex, term } = await this.#client().deleteTenant(tenant, options);
    const [deletion] = await this.#client().tenantDeletions(tenant, options);
    const shown = deletion === undefined ? null : deletionBody(deletion);
    return this.#answer("hearth/tenant-delete/v1", { logIndex, term, deletion: shown });
  }

  async open(request: AdminRequest, tenant: string): Promise<AdminResponse> {
    requireDeliberate(request);
    refuseUnknownParameters(request, ["timeout"]);
    const result = await this.#client().openTenant(tenant, this.#callOptions(request));
    const { deletion, changed, logIndex, term } = result;
    const fields = { changed, logIndex, term, deletion: deletionBody(deletion) };
    return this.#answer("hearth/tenant-open/v1", fields);
  }

  async list(request: AdminRequest): Promise<AdminResponse> {
    refuseUnknownParameters(request, ["tenant", "timeout"]);
    const tenant = request.query.get("tenant");
    const deletions = await this.#client().tenantDeletions(tenant, this.#callOptions(request));
    const control = this.#modules.deletions();
    return this.#answer("hearth/tenant-deletions/v1", {
      deletions: deletions.map(deletionBody),
      store: control?.store ?? null,
      activity: control === null ? null : activityBody(control.status()),
    });
  }

  #client(): MetadataClient {
    return servingClient(this.#modules.client);
  }

  #callOptions(request: AdminRequest): { signal: AbortSignal; timeoutMs: number } {
    const timeoutMs = readTimeout(request, this.#modules.defaultTimeoutMs);
    return { signal: request.signal, timeoutMs };
  }

  #answer(schema: string, fields: object): AdminResponse {
    const { nowMs, nodeId } = this.#modules;
    const asOf = new Date(nowMs()).toISOString();
    return json(200, { schema, asOf, askedNode: nodeId, ...fields });
  }
}

function deletionBody(deletion: TenantDeletion): object {
  return { ...deletion, problem: isSuspicious(deletion) ? PROBLEM : null };
}

const PROBLEM =
  "The index knew of blocks, and the bucket of the leader held none of their objects: is it the one that workers write to?";

function unconfirmed(tenant: string): HearthError {
  const message = `Deleting tenant ${JSON.stringify(tenant)} cannot be undone and needs its name`;
  return new HearthError("failed_precondition", message, {
    reason: "not_confirmed",
    next: `Send ?confirm=${encodeURIComponent(tenant)}`,
  });
}
