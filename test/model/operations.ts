/** What can happen to an index, as data: operations are recorded, repeated and cut down when something goes wrong. */

import type { ShardTombstone, Tombstone } from "../../src/protocol/index.ts";
import type { PlainQuery } from "./naive-index.ts";
import type { PlainBlock, TableStyle } from "./plain.ts";

/** Where a changing operation stands in the log. The log index is given when it is applied. */
export interface Stamp {
  readonly term: number;
  readonly appendedAtMs: number;
}

export interface PlainCompaction {
  readonly source: {
    readonly tenant: string;
    readonly shard: number;
    readonly blocks: readonly string[];
  };
  readonly newBlocks: readonly PlainBlock[];
}

export type WriteOperation =
  | ({
      readonly kind: "addBlocks";
      readonly blocks: readonly PlainBlock[];
      readonly style: TableStyle;
    } & Stamp)
  | ({ readonly kind: "replaceBlocks"; readonly style: TableStyle } & PlainCompaction & Stamp)
  | ({
      readonly kind: "completeJob";
      readonly name: string;
      readonly level: number;
      readonly style: TableStyle;
      /** Null: the job carries no result and is skipped (spec 4.4). */
      readonly compaction: PlainCompaction | null;
    } & Stamp)
  | ({ readonly kind: "deleteShard"; readonly shard: ShardTombstone } & Stamp)
  | ({
      readonly kind: "truncateIndex";
      /** Term in which it was planned: another one than the entry's changes nothing (spec 4.6). */
      readonly plannedTerm: number;
      readonly tombstones: readonly Tombstone[];
    } & Stamp)
  | ({ readonly kind: "addTombstones"; readonly tombstones: readonly Tombstone[] } & Stamp)
  | ({ readonly kind: "deleteTombstones"; readonly tombstones: readonly Tombstone[] } & Stamp)
  | ({ readonly kind: "noop" } & Stamp);

export type ReadOperation =
  | {
      readonly kind: "getBlocks";
      readonly tenant: string;
      readonly shard: number;
      readonly blocks: readonly string[];
    }
  | { readonly kind: "query"; readonly query: PlainQuery; readonly spelling: number }
  | { readonly kind: "queryLabels"; readonly query: PlainQuery; readonly spelling: number }
  | { readonly kind: "getTenants" }
  | { readonly kind: "getTenant"; readonly tenant: string }
  | {
      readonly kind: "tombstoneExists";
      readonly tenant: string;
      readonly shard: number;
      readonly block: string;
    }
  | { readonly kind: "listTombstones"; readonly beforeMs: number };

export type Operation =
  | WriteOperation
  | ReadOperation
  /** Close everything, open it again. */
  | { readonly kind: "restart" }
  /** Offer the last applied entries again: they must be skipped. */
  | { readonly kind: "replay" };

const READS: ReadonlySet<string> = new Set([
  "getBlocks",
  "query",
  "queryLabels",
  "getTenants",
  "getTenant",
  "tombstoneExists",
  "listTombstones",
]);

export function isRead(operation: Operation): operation is ReadOperation {
  return READS.has(operation.kind);
}

export function isWrite(operation: Operation): operation is WriteOperation {
  return !isRead(operation) && operation.kind !== "restart" && operation.kind !== "replay";
}

/** One line for people. */
export function describe(operation: Operation): string {
  return JSON.stringify(operation, (_key, value: unknown) => {
    if (typeof value === "bigint") return `${value}n`;
    return typeof value === "function" ? undefined : value;
  });
}
