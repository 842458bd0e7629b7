/** Deletions of tenants in words. */
import { formatBytes, formatCount, formatDuration } from "../base/index.ts";
import type { TenantDeletion } from "../client/index.ts";
import { countOf } from "./compaction/answers.ts";
import { formatTime } from "./times.ts";

export interface DeletionAnswer extends TenantDeletion {
  /** What looks wrong, in a sentence; null: nothing. */
  readonly problem: string | null;
}

export interface DeletionsAnswer {
  readonly askedNode: string;
  readonly deletions: readonly DeletionAnswer[];
  readonly store: string | null;
  readonly activity: {
    readonly isActive: boolean;
    readonly lastOutcome: string | null;
    readonly lastText: string;
  } | null;
}

/** What it does now, or waits for. */
export function stateText(deletion: TenantDeletion): string {
  const { state, segmentsLeft } = deletion;
  const segments = countOf(segmentsLeft, "segment");
  switch (state) {
    case "hidden":
      return "hidden; its entries are leaving the index";
    case "unindexed":
      return "out of the index; its objects are being deleted";
    case "emptied":
      return segmentsLeft > 0
        ? `waits for compaction to split ${segments} with data of others, too`
        : "its objects are deleted; the bucket is looked at again";
    case "verified":
      return `verified: nothing is left; ${closedText(deletion)}`;
    case "open":
      return "verified, and its name may be used again";
  }
}

function closedText({ closedForMs, verifiedAtMs }: TenantDeletion): string {
  if (closedForMs === 0 || verifiedAtMs === null)
    return "its name is closed until hearth tenant open";
  return `its name is closed until ${formatTime(verifiedAtMs + closedForMs)}`;
}

/** The report on one of them. */
export function deletionLines(deletion: DeletionAnswer): string[] {
  const { tenant, requestedAtMs, verifiedAtMs, openedAtMs, lateBlocks, problem } = deletion;
  const lines = [
    `${tenant}: ${stateText(deletion)}`,
    `  requested ${formatTime(requestedAtMs)}, log index ${formatCount(deletion.id)}`,
    `  index     ${countOf(deletion.blocks, "block")} in ${countOf(deletion.shards, "shard")}, ${formatBytes(deletion.bytes)}; ${countOf(deletion.segments, "segment")} of its own`,
    `  bucket    ${countOf(deletion.objects, "object")}, ${formatBytes(deletion.objectBytes)}, in ${countOf(deletion.passes, "pass", "passes")}`,
  ];
  if (lateBlocks > 0) {
    lines.push(`  late      ${countOf(lateBlocks, "block")} that compaction brought, not taken`);
  }
  if (verifiedAtMs !== null) {
    const took = formatDuration(verifiedAtMs - requestedAtMs);
    lines.push(`  verified  ${formatTime(verifiedAtMs)}, after ${took}`);
  }
  if (openedAtMs !== null) lines.push(`  open      since ${formatTime(openedAtMs)}`);
  if (problem !== null) lines.push(`  ! ${problem}`);
  return lines;
}
