/** Runs whole files of compaction vectors, and says of each case how it came out. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { jobName } from "../../../../src/state/index.ts";
import { runDlqPath, runDlqSweep } from "./run-dlq.ts";
import { runRetentionCase } from "./run-retention.ts";
import { runStateCase } from "./run-case.ts";
import { ENCODING_KINDS, type EncodingCase } from "./run-encoding.ts";
import { PLACEMENT_KINDS } from "./run-placement.ts";
import type { CompactionCase, CompactionFile } from "./types.ts";

export interface LoadedCompactionFile {
  readonly name: string;
  readonly content: CompactionFile;
}

export type CompactionOutcome =
  | { readonly kind: "passed" }
  | { readonly kind: "failed"; readonly failure: string }
  /** A reference case that we answer differently on purpose. */
  | { readonly kind: "deviates"; readonly reason: string };

/** Reference cases (never contract cases) with another answer; the reasons stand in docs/compatibility.md too. */
const DEVIATIONS: Readonly<Record<string, string>> = {
  "sched-larger-token-accepted": "a token must be the job's own",
  "sched-eviction-needs-lowered-limit": "exhausted jobs make room as soon as the limit is reached",
  "plan-forced-by-age": "a staged block that is too old is compacted too",
};

/** The compaction vector files of a directory, by name; empty when it holds others. */
export function loadCompactionVectors(directory: string): LoadedCompactionFile[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(".json"))
    .sort()
    .map((name) => ({
      name: name.replace(/\.json$/, ""),
      content: JSON.parse(readFileSync(join(directory, name), "utf8")) as CompactionFile,
    }))
    .filter(({ content }) => typeof content.kind === "string" && content.version === 1);
}

export async function runCompactionCase(
  file: CompactionFile,
  vectorCase: CompactionCase,
): Promise<CompactionOutcome> {
  const failure = await runKind(file.kind, vectorCase);
  if (failure === null) return { kind: "passed" };
  const deviation = DEVIATIONS[vectorCase.id];
  if (vectorCase.class === "reference" && deviation !== undefined) {
    return { kind: "deviates", reason: deviation };
  }
  return { kind: "failed", failure };
}

async function runKind(kind: string, vectorCase: CompactionCase): Promise<string | null> {
  if (kind === "state_machine") return runStateCase(vectorCase);
  if (kind === "job_names") return runJobName(vectorCase as unknown as JobNameCase);
  if (kind === "dlq_paths") return runDlqPath(vectorCase as never);
  if (kind === "dlq_sweep") return runDlqSweep(vectorCase as never);
  if (kind === "retention") return runRetentionCase(vectorCase as never);
  const placement = PLACEMENT_KINDS[kind];
  if (placement !== undefined) return placement(vectorCase as never);
  // Its cases have a kind of their own.
  const encoding = vectorCase as unknown as EncodingCase;
  const runEncoding = ENCODING_KINDS[encoding.kind];
  if (kind === "encoding" && runEncoding !== undefined) return runEncoding(encoding);
  return `There is no way to run cases of kind "${kind}"`;
}

interface JobNameCase {
  readonly tenant: string;
  readonly shard: number;
  readonly level: number;
  readonly source_blocks: readonly string[];
  readonly expect: string;
}

function runJobName({ tenant, shard, level, source_blocks, expect }: JobNameCase): string | null {
  const name = jobName({ tenant, shard, level }, source_blocks);
  return name === expect ? null : `expected ${expect}, got ${name}`;
}
