/** What main and the planner's thread say to each other: one request, one result, plain data. */

import type { PackedBytes } from "../../base/index.ts";
import type { ReportCounts, StrayCursor } from "../../state/index.ts";

export interface DatabasePlace {
  readonly directory: string;
  readonly mapSizeBytes: number;
  /** The content in force: a snapshot that was installed is another one. */
  readonly generation: number;
}

export type PlannerRequest =
  | {
      readonly kind: "plan";
      readonly database: DatabasePlace;
      /** Polls as they came, checked by the door. */
      readonly polls: PackedBytes;
      /** Log time of the plan, Unix ms. */
      readonly nowMs: number;
      readonly term: number;
      /** The plan must see everything up to this log index. */
      readonly minIndex: number;
      /** Where the search for strays goes on; null: from the beginning; undefined: no search. */
      readonly strays: StrayCursor | null | undefined;
    }
  /** Closes the database of the thread, which ends soon. */
  | { readonly kind: "close" };

export type PlannerResult =
  /** The database is not there yet. */
  | { readonly kind: "behind"; readonly appliedIndex: number }
  /** There is no policy. */
  | { readonly kind: "off" }
  | {
      readonly kind: "planned";
      /** Log entry to propose; null: the plan is empty and the answers hold as they are. */
      readonly entry: Uint8Array<ArrayBuffer> | null;
      /** Of the first so many polls: the others did not fit into the plan. At least one. */
      readonly answers: PlannedAnswers;
      readonly strays: StrayCursor | null | undefined;
      /** Names of the workers that asked, without those that have none. */
      readonly workers: readonly string[];
      /** Jobs that the plan creates: another plan can hand them out. */
      readonly newJobs: number;
    }
  | { readonly kind: "closed" };

/** By position of the polls. */
export interface PlannedAnswers {
  /** PollReplies. */
  readonly replies: PackedBytes;
  /** Whether a reply says nothing. */
  readonly areEmpty: readonly boolean[];
  /** Why a poll is refused instead; null: it is not. */
  readonly refusals: readonly (string | null)[];
  /** Of all polls together. */
  readonly reports: Readonly<ReportCounts>;
}
