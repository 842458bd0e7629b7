/** What the commands of the placement share. */
import { formatBytes } from "../base/index.ts";
import type { EffectivePlacement, PlacementChange } from "../leader/index.ts";
import type { CommandContext } from "./command.ts";

/** The filters of a command as the query of a request. */
export function placementQuery({ flags }: Pick<CommandContext, "flags">): string {
  const query = new URLSearchParams();
  for (const name of ["tenant", "dataset", "limit"]) {
    const value = flags.text(name);
    if (value !== null) query.set(name, value);
  }
  return query.size === 0 ? "" : `?${query.toString()}`;
}

/** `1 -> 8 shards by fingerprint, moves 88 % of 1.2 MiB/s` */
export function changeText(change: PlacementChange): string {
  const { shardsBefore, shardsAfter, movedShare, bytesPerSec } = change;
  const shards = `${shardsBefore} -> ${shardsAfter} shards ${strategyText(change)}`;
  return `${shards}, moves ${Math.round(movedShare * 100)} % of ${formatBytes(bytesPerSec)}/s`;
}

export function strategyText({ before, after }: PlacementChange): string {
  const [old, fresh] = [nameOf(before), nameOf(after)];
  return old === fresh ? `by ${fresh}` : `${old} -> ${fresh}`;
}

function nameOf(placement: EffectivePlacement | null): string {
  return placement?.strategy ?? "fingerprint";
}
