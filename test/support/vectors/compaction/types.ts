/** Compaction vector files as their README describes them. */

export type NsText = string;

export interface CompactionFile {
  readonly suite: string;
  readonly kind: string;
  readonly version: 1;
  readonly cases: readonly CompactionCase[];
}

export interface CompactionCase {
  readonly id: string;
  readonly title: string;
  readonly class: "contract" | "reference";
  readonly config?: Config;
  readonly steps?: readonly CompactionStep[];
}

export interface Config {
  readonly compactor: {
    readonly levels: readonly { readonly max_blocks: number; readonly max_age_ns: NsText }[];
    readonly cleanup_batch_size: number;
    readonly cleanup_delay_ns: NsText;
    readonly cleanup_job_min_level: number;
    readonly cleanup_job_max_level: number;
  };
  readonly scheduler: {
    readonly max_failures: number;
    readonly lease_duration_ns: NsText;
    readonly max_queue_size: number;
  };
}

export interface Position {
  readonly index: number;
  readonly term: number;
  readonly time_ns: NsText;
}

export interface PlainBlock {
  readonly id: string;
  readonly tenant: string;
  readonly shard: number;
  readonly level: number;
}

export interface StateJson {
  readonly name: string;
  readonly compaction_level?: number;
  readonly status?: "UNSPECIFIED" | "IN_PROGRESS" | "SUCCESS";
  readonly token?: number;
  readonly lease_expires_at_ns?: NsText;
  readonly added_at_ns?: NsText;
  readonly failures?: number;
}

export interface TombstoneJson {
  readonly blocks?: {
    readonly name: string;
    readonly shard: number;
    readonly tenant: string;
    readonly compaction_level: number;
    readonly blocks: readonly string[];
  };
  readonly shard?: {
    readonly name: string;
    readonly timestamp_ns: NsText;
    readonly duration_ns: NsText;
    readonly shard: number;
    readonly tenant: string;
  };
}

export interface PlanJson {
  readonly name: string;
  readonly tenant: string;
  readonly shard: number;
  readonly compaction_level: number;
  readonly source_blocks: readonly string[];
  readonly tombstones?: readonly TombstoneJson[];
}

export interface CompactedJson {
  readonly source_blocks?: {
    readonly tenant: string;
    readonly shard: number;
    readonly blocks?: readonly string[];
  };
  readonly new_blocks?: readonly PlainBlock[];
}

export interface PlanUpdateJson {
  readonly new_jobs?: readonly { readonly state: StateJson; readonly plan: PlanJson }[];
  readonly assigned_jobs?: readonly { readonly state: StateJson }[];
  readonly updated_jobs?: readonly { readonly state: StateJson }[];
  readonly completed_jobs?: readonly {
    readonly state: StateJson;
    readonly compacted_blocks?: CompactedJson;
  }[];
  readonly evicted_jobs?: readonly { readonly state: StateJson }[];
}

export interface PollJson {
  readonly job_capacity: number;
  readonly status_updates: readonly {
    readonly name: string;
    readonly token: number;
    readonly status: "UNSPECIFIED" | "IN_PROGRESS" | "SUCCESS";
    readonly compacted_blocks?: CompactedJson;
  }[];
}

export type CompactionStep =
  | {
      readonly op: "add_block";
      readonly log: Position;
      readonly block: PlainBlock;
      readonly expect: { readonly result: string };
    }
  | {
      readonly op: "poll";
      readonly prepare: Position;
      readonly update: Position;
      readonly request: PollJson;
      readonly between?: readonly CompactionStep[];
      readonly expect: {
        readonly plan: PlanUpdateJson;
        readonly response?: object;
        readonly error?: string;
      };
    }
  | {
      readonly op: "apply_plan";
      readonly log: Position;
      readonly request_term: number;
      readonly plan: PlanUpdateJson;
      readonly expect: { readonly result: string };
    }
  | {
      readonly op: "truncate_index";
      readonly log: Position;
      readonly request_term: number;
      readonly tombstones: readonly NonNullable<TombstoneJson["shard"]>[];
      readonly expect: { readonly result: string };
    }
  | { readonly op: "restart"; readonly config?: Config }
  | { readonly op: "expect_state"; readonly expect: Readonly<Record<string, unknown>> };
