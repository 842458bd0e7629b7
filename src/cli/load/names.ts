/** Vocabulary of generated load: names as operators choose them, profile types as agents send them. */

export const SERVICE_WORDS = [
  "checkout",
  "cart",
  "payments",
  "catalog",
  "search",
  "recommendations",
  "shipping",
  "accounts",
  "sessions",
  "inventory",
  "pricing",
  "notifications",
  "ingest",
  "gateway",
  "reports",
  "billing",
] as const;

export const SERVICE_ROLES = [
  "api",
  "worker",
  "db-proxy",
  "cache",
  "scheduler",
  "frontend",
] as const;

/** Profile types by agent, as they stand in real block metadata: a service sends one of these lists. */
export const PROFILE_TYPES = [
  [
    "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
    "process_cpu:samples:count:cpu:nanoseconds",
    "memory:alloc_objects:count:space:bytes",
    "memory:alloc_space:bytes:space:bytes",
    "memory:inuse_objects:count:space:bytes",
    "memory:inuse_space:bytes:space:bytes",
    "goroutines:goroutine:count:goroutine:count",
    "mutex:contentions:count:contentions:count",
    "mutex:delay:nanoseconds:contentions:count",
    "block:contentions:count:contentions:count",
    "block:delay:nanoseconds:contentions:count",
  ],
  ["process_cpu:cpu:nanoseconds:cpu:nanoseconds", "process_cpu:samples:count:cpu:nanoseconds"],
  [
    "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
    "memory:alloc_in_new_tlab_objects:count:space:bytes",
    "memory:alloc_in_new_tlab_bytes:bytes:space:bytes",
    "mutex:contentions:count:contentions:count",
  ],
] as const;
