export type { ReadCounters } from "./engine/explain.ts";
export type { BlockAsker, BlockListParams, TenantStats } from "./engine/lookups.ts";
export type { ChunkSink } from "./engine/plan-emitter.ts";
export { type Checkpoint, QueryEngine, type QueryParams } from "./engine/query-engine.ts";
export { compileSelector, type LabelPairs, type Matcher, Selector } from "./engine/selector.ts";
export { QUERY_ENGINE_DEFAULTS, type QueryEngineOptions } from "./options.ts";
export { type Progress, SharedState } from "./shared-state.ts";
