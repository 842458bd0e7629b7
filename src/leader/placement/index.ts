export { answerRequest } from "./answer.ts";
export { ShardAllocator } from "./allocator.ts";
export { chooseBalancing, standardDeviation } from "./balancing.ts";
export { PlacementEngine } from "./engine.ts";
export { PLACEMENT_BOUNDS, PLACEMENT_LIMIT_DEFAULTS, type PlacementLimits } from "./limits.ts";
export { type EffectivePlacement, movedShare, PlacementPolicies, shardsOf } from "./policy.ts";
export { RateTable, tauOfHalfLife, tauOfLifetime } from "./rate.ts";
export { PlacementRuler, type RulerOptions } from "./ruler.ts";
export { type PlacementSample, PlacementStatistics } from "./statistics.ts";
export type {
  CycleSummary,
  DatasetSummary,
  LimitTable,
  PlacementChange,
  PlacementReply,
  PlacementRequest,
  PlacementFilter,
  PlacementPreview,
  PlacementRow,
  PlacementTable,
  ShardLoad,
} from "./messages.ts";
export { PlacementManager, type PlacementModules } from "./manager.ts";
export { PLACEMENT_KEYS } from "./objects.ts";
export { PLACEMENT_DEFAULTS, type PlacementOptions } from "./options.ts";
export type { PinChange } from "./pin-book.ts";
export { type Pin, type PinnedBalancing, PinSet } from "./pins.ts";
export { OwnPlacementThread, type PlacementThread } from "./thread.ts";
export { PlacementSampler, type SampleBatch, type SamplerOptions } from "./sampler.ts";
