export { SESSION_LIMITS, type SessionLimits } from "./limits.ts";
export { SessionTable } from "./table.ts";
export type {
  LogPlace,
  SessionOutcome,
  SessionRequest,
  SessionStats,
  SessionStore,
} from "./types.ts";
