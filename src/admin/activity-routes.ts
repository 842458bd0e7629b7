/** What the leader does beside answering, as JSON: each activity with its last run and its next one. */
import type { LeaderActivityView } from "../client/index.ts";
import { json } from "./responses.ts";
import type { Route } from "./types.ts";

export interface ActivityModules {
  /** Empty until the node has started. */
  readonly activities: () => readonly LeaderActivityView[];
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
export function activityBody(activity: LeaderActivityView): object {
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
