export type { Raft } from "./contract.ts";
export * from "./types.ts";
