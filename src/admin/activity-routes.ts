/** What the leader does beside answering, as JSON: each activity with its last run and its next one. */
import { json } from "./responses.ts";
import type { Route } from "./types.ts";

/** One activity on the node that was asked. */
export interface ActivityView {
  readonly name: string;
  readonly isEnabled: boolean;
  /** This node leads and runs it. */
  readonly isActive: boolean;
  readonly isRunning: boolean;
  readonly intervalMs: number;
  /** Unix ms; null: no run on this node yet. */
  readonly lastStartedAtMs: number | null;
  readonly lastDurationMs: number | null;
  /** done, nothing, failed, stopped. */
  readonly lastOutcome: string | null;
  readonly lastText: string;
  readonly lastReason: string | null;
  readonly nextAtMs: number | null;
  readonly failuresInRow: number;
}

export interface ActivityModules {
  /** Empty until the node has started. */
  readonly activities: () => readonly ActivityView[];
  readonly nodeId: string;
  readonly nowMs: () => number;
}

export function activityRoutes(modules: ActivityModules): Route[] {
  return [
    {
      method: "GET",
      path: "/api/v1/activities",
      summary: "Activities of the leader: last run, duration, outcome and next run on this node",
      handle: () => json(200, activitiesBody(modules)),
    },
  ];
}

/** Also the answer to `leader_activities` of the binary protocol. */
export function activitiesBody({ activities, nodeId, nowMs }: ActivityModules): object {
  return {
    schema: "hearth/activities/v1",
    asOf: new Date(nowMs()).toISOString(),
    askedNode: nodeId,
    activities: activities().map(activityBody),
  };
}

/** One activity as JSON. */
export function activityBody(activity: ActivityView): object {
  return {
    name: activity.name,
    isEnabled: activity.isEnabled,
    isActive: activity.isActive,
    isRunning: activity.isRunning,
    intervalMs: activity.intervalMs,
    lastStartedAtMs: activity.lastStartedAtMs,
    lastDurationMs: activity.lastDurationMs,
    lastOutcome: activity.lastOutcome,
    lastText: activity.lastText,
    lastReason: activity.lastReason,
    nextAtMs: activity.nextAtMs,
    failuresInRow: activity.failuresInRow,
  };
}
