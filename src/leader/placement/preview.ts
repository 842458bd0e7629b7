/** What would change if rules took the place of others, and how much of the load would move. */

import type { DistributionStats, PlacementRules } from "../../protocol/index.ts";
import { sumOf } from "./balancing.ts";
import type { PlacementChange, PlacementFilter, PlacementPreview } from "./messages.ts";
import { movedShare, shardsOf } from "./policy.ts";
import { busiestFirst, loadsByName, matchingRules, type NamedPlacement, nameOf } from "./table.ts";

export interface PreviewInputs {
  readonly before: PlacementRules;
  readonly after: PlacementRules;
  readonly stats: DistributionStats;
}

export function previewChanges(
  { before, after, stats }: PreviewInputs,
  filter: PlacementFilter,
): PlacementPreview {
  const loads = loadsByName(stats);
  const old = byName(matchingRules(before, filter));
  const fresh = byName(matchingRules(after, filter));
  const changes: PlacementChange[] = [];
  for (const name of new Set([...fresh.keys(), ...old.keys()])) {
    const [from, to] = [old.get(name) ?? null, fresh.get(name) ?? null];
    const bytesPerSec = sumOf(loads.get(name)?.usage ?? []);
    const change = changeOf(from, to, bytesPerSec);
    if (change !== null) changes.push(change);
  }
  const moved = changes.map((change) => change.bytesPerSec * change.movedShare);
  return {
    matched: changes.length,
    bytesPerSec: sumOf(stats.datasets.map(({ usage }) => sumOf(usage))),
    movedBytesPerSec: sumOf(moved),
    changes: busiestFirst(moved, filter.maxCount).map((i) => changes[i] as PlacementChange),
  };
}

/** Null: nothing changes. */
function changeOf(
  from: NamedPlacement | null,
  to: NamedPlacement | null,
  bytesPerSec: number,
): PlacementChange | null {
  const { tenant, dataset } = (to ?? from) as NamedPlacement;
  const [before, after] = [from?.placement ?? null, to?.placement ?? null];
  const shardsBefore = before === null ? 1 : shardsOf(before);
  const shardsAfter = after === null ? 1 : shardsOf(after);
  const isSame =
    before !== null &&
    after !== null &&
    before.strategy === after.strategy &&
    before.tenantShards === after.tenantShards &&
    before.datasetShards === after.datasetShards;
  if (isSame) return null;
  const share =
    before === null || after === null
      ? 1 - 1 / Math.max(shardsBefore, shardsAfter)
      : movedShare(before, after);
  return {
    tenant,
    dataset,
    before,
    after,
    shardsBefore,
    shardsAfter,
    bytesPerSec,
    movedShare: share,
  };
}

function byName(placements: readonly NamedPlacement[]): Map<string, NamedPlacement> {
  return new Map(placements.map((one) => [nameOf(one.tenant, one.dataset), one]));
}
