export {
  activitiesBody,
  type ActivityModules,
  activityRoutes,
} from "./activity-routes.ts";
export {
  CHECK_OK,
  type CheckOutcome,
  type CheckResult,
  Health,
  type HealthCheck,
  type HealthKind,
  healthRoutes,
} from "./health.ts";
export { healthRpcRoute } from "./health-rpc.ts";
export {
  AdminHttpServer,
  type HttpRejection,
  type HttpRequestRecord,
  type HttpServerOptions,
} from "./http-server.ts";
export { changeRoutes, type ChangeRouteModules } from "./change-routes.ts";
export {
  clusterRoutes,
  type ClusterControlSource,
  type ClusterRouteModules,
  type MemberEntry,
} from "./cluster-routes.ts";
export { type CompactionClient, compactionRoutes } from "./compaction-routes.ts";
export { type DlqControl, dlqRoutes } from "./dlq-routes.ts";
export { ACTION_HEADER } from "./foreign-page.ts";
export { indexRoutes } from "./index-routes.ts";
export { landingRoute } from "./landing.ts";
export { metadataRoutes, type MetadataClientSource } from "./metadata-routes.ts";
export { metricsRoute } from "./metrics-route.ts";
export { type PlacementControl, placementRoutes } from "./placement-routes.ts";
export {
  nodeChecks,
  type NodePhase,
  type NodeView,
  type SeatView,
  type VoterView,
} from "./readiness.ts";
export { errorBody, statusCodes, statusOfCode } from "./responses.ts";
export { type RetentionControl, retentionRoutes } from "./retention-routes.ts";
export { Router } from "./router.ts";
export { type BuildInfo, type NodeStatus, nodeStatusBody, statusRoutes } from "./status-routes.ts";
export { type TenantDeletionControl, tenantRoutes } from "./tenant-routes.ts";
export type { AdminHandler, AdminRequest, AdminResponse, MetadataClient, Route } from "./types.ts";
