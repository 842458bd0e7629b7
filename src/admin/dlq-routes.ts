/** The dead letter queue for operators: how deep it is, what became of entries, and a sweep on demand. */
import type { ActivityResult, ActivityStatus, DlqStatusView } from "../leader/index.ts";
import { activityBody } from "./activity-routes.ts";
import { requireDeliberate } from "./foreign-page.ts";
import { refuseUnknownParameters } from "./query-input.ts";
import { json } from "./responses.ts";
import { available } from "./retention-routes.ts";
import type { AdminRequest, AdminResponse, Route } from "./types.ts";

export interface DlqControl {
  status(): ActivityStatus;
  view(): DlqStatusView;
  /** A sweep now. Errors: `not_leader`. */
  sweep(): Promise<ActivityResult>;
}

export interface DlqRouteModules {
  /** Null until the replica runs. */
  readonly dlq: () => DlqControl | null;
  readonly nodeId: string;
  /** Unix ms. */
  readonly nowMs: () => number;
}

export function dlqRoutes(modules: DlqRouteModules): Route[] {
  const answer = (schema: string, fields: object): AdminResponse => {
    const asOf = new Date(modules.nowMs()).toISOString();
    return json(200, { schema, asOf, askedNode: modules.nodeId, ...fields });
  };
  return [
    {
      method: "GET",
      path: "/api/v1/dlq",
      summary: "Dead letters as the newest sweep on this node left them; the leader sweeps",
      handle: (request: AdminRequest) => {
        refuseUnknownParameters(request, []);
        const control = available(modules.dlq());
        const { entries, oldestAgeMs, quarantined, attempts } = control.view();
        const activity = activityBody(control.status());
        return answer("hearth/dlq/v1", { entries, oldestAgeMs, quarantined, attempts, activity });
      },
    },
    {
      method: "POST",
      path: "/api/v1/dlq/sweep",
      summary: "A sweep of the dead letters now, on the leader",
      handle: async (request: AdminRequest) => {
        requireDeliberate(request);
        refuseUnknownParameters(request, ["timeout"]);
        const { outcome, text, reason = null } = await available(modules.dlq()).sweep();
        return answer("hearth/activity-run/v1", { activity: "dlq", outcome, text, reason });
      },
    },
  ];
}
