/**
 * What operators ask about the members, over HTTP. Every question is answered from what the asked node knows, also
 * without a quorum, and says how old each piece of it is; `?collect=1s` asks the other members first.
 */
import { HearthError, suggest } from "../base/index.ts";
import type { ClusterControl, MemberReport, MemberView } from "../service/index.ts";
import { readDuration, refuseUnknownParameters } from "./query-input.ts";
import { json } from "./responses.ts";
import type { AdminRequest, AdminResponse, Route } from "./types.ts";

/** Null until the node knows which cluster it belongs to: the routes exist from the first second and say so. */
export type ClusterControlSource = () => ClusterControl | null;

export interface ClusterRouteModules {
  readonly control: ClusterControlSource;
  /** Unix ms. */
  readonly nowMs: () => number;
  /** Monotonic, ms: for ages. */
  readonly clockMs: () => number;
}

/** A member as this node sees it, with its own last word. Every field is always there. */
export interface MemberEntry extends Omit<MemberView, "serverId"> {
  readonly id: string;
  /** Body of GET /api/v1/status of that member, the newest one that arrived here; null: none yet. */
  readonly status: object | null;
  /** How old `status` is, ms; null without one. */
  readonly ageMs: number | null;
  /** Why it gave none when it was asked just now; null: it did, or was not asked. */
  readonly statusProblem: string | null;
}

/** A member that does not answer in this time does not answer. */
const COLLECT_MAX_MS = 10_000;

export function clusterRoutes(modules: ClusterRouteModules): Route[] {
  const reader = new ClusterReader(modules);
  return [
    {
      method: "GET",
      path: "/api/v1/cluster",
      summary: "What this node knows of the cluster; asks nobody",
      handle: (request) => reader.cluster(request),
    },
    {
      method: "GET",
      path: "/api/v1/members",
      summary: "All members, each with the age of what is known; ?collect=1s asks them first",
      handle: (request) => reader.members(request),
    },
    {
      method: "GET",
      path: "/api/v1/members/{id}",
      summary: "One member by its server id or node id; ?collect=1s asks it first",
      handle: (request, { id }) => reader.member(request, id ?? ""),
    },
  ];
}

/** The object behind the routes. Errors: `unavailable` while the node does not know its cluster. */
export function availableControl(source: ClusterControlSource): ClusterControl {
  const control = source();
  if (control !== null) return control;
  throw new HearthError("unavailable", "This node does not know yet which cluster it belongs to", {
    reason: "not_serving",
    next: "GET /ready says what it is doing",
    retryAfterMs: 1_000,
  });
}

class ClusterReader {
  readonly #modules: ClusterRouteModules;
  readonly #memory = new ReportMemory();

  constructor(modules: ClusterRouteModules) {
    this.#modules = modules;
  }

  cluster(request: AdminRequest): AdminResponse {
    refuseUnknownParameters(request, []);
    const view = availableControl(this.#modules.control).view();
    return json(200, { schema: "hearth/cluster/v1", asOf: this.#asOf(), ...view });
  }

  async members(request: AdminRequest): Promise<AdminResponse> {
    refuseUnknownParameters(request, ["collect"]);
    const control = availableControl(this.#modules.control);
    const problems = await this.#collect(control, request);
    const { members, ...cluster } = control.view();
    return json(200, {
      schema: "hearth/members/v1",
      asOf: this.#asOf(),
      ...cluster,
      members: members.map((member) => this.#entry(member, problems)),
    });
  }

  async member(request: AdminRequest, id: string): Promise<AdminResponse> {
    refuseUnknownParameters(request, ["collect"]);
    const control = availableControl(this.#modules.control);
    findMember(control.view().members, id);
    const problems = await this.#collect(control, request);
    const { members, ...cluster } = control.view();
    const entry = this.#entry(findMember(members, id), problems);
    return json(200, { schema: "hearth/member/v1", asOf: this.#asOf(), ...cluster, member: entry });
  }

  /** Asks the members when the request wants that. Resolves with why some of them gave no answer. */
  async #collect(control: ClusterControl, request: AdminRequest): Promise<Map<string, string>> {
    const timeoutMs = readDuration(request, "collect", COLLECT_MAX_MS);
    if (timeoutMs === null) return new Map();
    const reports = await control.collect(timeoutMs);
    this.#memory.keep(reports, this.#modules.clockMs());
    const failed = reports.filter((report) => !report.ok);
    return new Map(failed.map(({ serverId, problem }) => [serverId, problem]));
  }

  #entry(member: MemberView, problems: ReadonlyMap<string, string>): MemberEntry {
    const { serverId, ...rest } = member;
    const known = this.#memory.of(serverId, this.#modules.clockMs());
    const statusProblem = problems.get(serverId) ?? null;
    return { id: serverId, ...rest, ...known, statusProblem };
  }

  #asOf(): string {
    return new Date(this.#modules.nowMs()).toISOString();
  }
}

function findMember(members: readonly MemberView[], id: string): MemberView {
  const found = members.find(({ serverId, nodeId }) => serverId === id || nodeId === id);
  if (found !== undefined) return found;
  const names = members.map(({ serverId }) => serverId);
  const near = suggest(id, names);
  throw new HearthError("not_found", `There is no member "${id}"`, {
    reason: "member_not_found",
    next: near === null ? `Members are ${names.join(", ")}` : `Did you mean ${near}?`,
  });
}

/** The newest word of each member: what is left of one that does not answer any more. */
class ReportMemory {
  readonly #byMember = new Map<string, { readonly status: object; readonly bornAtMs: number }>();

  /** What is not among the reports is no member any more. */
  keep(reports: readonly MemberReport[], nowMs: number): void {
    const names = new Set(reports.map(({ serverId }) => serverId));
    for (const name of this.#byMember.keys()) if (!names.has(name)) this.#byMember.delete(name);
    for (const report of reports) {
      if (!report.ok) continue;
      const { serverId, status, ageMs } = report;
      this.#byMember.set(serverId, { status, bornAtMs: nowMs - ageMs });
    }
  }

  of(serverId: string, nowMs: number): Pick<MemberEntry, "status" | "ageMs"> {
    const known = this.#byMember.get(serverId);
    if (known === undefined) return { status: null, ageMs: null };
    return { status: known.status, ageMs: Math.max(0, Math.round(nowMs - known.bornAtMs)) };
  }
}
