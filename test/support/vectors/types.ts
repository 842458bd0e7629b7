/** Vector files as their README describes them, and what a runner needs of the system it drives. */

import type { BlockMeta } from "../../../src/protocol/index.ts";

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

export interface VectorFile {
  readonly format: 1;
  readonly title: string;
  readonly description: string;
  /** Sections of the specification that the file exercises. */
  readonly spec: readonly string[];
  /** Run first, in a fresh index, for every case. */
  readonly setup: readonly Step[];
  readonly cases: readonly Case[];
}

export interface Case {
  readonly name: string;
  readonly why?: string;
  readonly steps: readonly Step[];
}

export interface Step {
  readonly op: string;
  readonly note?: string;
  readonly request?: JsonObject;
  /** Position of the log entry that a changing step is: the term stays in force for later steps. */
  readonly log?: { readonly term?: string; readonly appended_at?: string };
  readonly expect?: {
    readonly code: "OK" | "INVALID_ARGUMENT";
    readonly response?: Json;
    readonly unordered?: boolean;
  };
}

/** Where a changing step stands in the log. */
export interface LogPosition {
  readonly term: number;
  /** Unix ms; null: any time that is not before that of the preceding entry. */
  readonly appendedAtMs: number | null;
}

export interface QueryInput {
  readonly tenants: readonly string[];
  readonly startMs: number;
  readonly endMs: number;
  readonly selector: string;
  readonly labels: readonly string[];
}

export interface LabelPair {
  readonly name: string;
  readonly value: string;
}

export interface TenantStatistics {
  readonly dataIngested: boolean;
  readonly oldestProfileTimeMs: number;
  readonly newestProfileTimeMs: number;
}

/**
 * The system under test: an engine in this process, or a server behind a socket. Every method that is refused
 * rejects with a HearthError.
 */
export interface VectorTarget {
  /** AddBlock as a client sends it: checks included. Null: a request without a block. */
  addBlock(block: BlockMeta | null, position: LogPosition): Promise<void>;
  /** One log entry of another command, in the form of the log. */
  command(entry: Uint8Array, position: LogPosition): Promise<void>;
  getBlocks(tenant: string, shard: number, blocks: readonly string[]): Promise<BlockMeta[]>;
  query(input: QueryInput): Promise<BlockMeta[]>;
  queryLabels(input: QueryInput): Promise<LabelPair[][]>;
  getTenants(): Promise<string[]>;
  getTenant(tenant: string): Promise<TenantStatistics>;
  tombstoneExists(tenant: string, shard: number, block: string): Promise<boolean>;
  listTombstones(beforeMs: number): Promise<string[]>;
  /** Drops what is only in memory and reopens from durable state. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** What a target should know of the case before its first step. */
export interface TargetOptions {
  /** The earliest append time that a step of the case names, Unix ms, or null. */
  readonly earliestAppendedAtMs: number | null;
}

/** Makes targets; each starts with an empty index. */
export interface VectorTargets {
  create(options: TargetOptions): Promise<VectorTarget>;
  close(): Promise<void>;
}
