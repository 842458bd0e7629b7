/** Where the metadata of an object and its entry in the index differ. */
import type { BlockMeta, DatasetMeta } from "../../protocol/index.ts";

/** Names of what differs; empty: nothing. References of strings are resolved, since the two tables may be ordered differently. */
export function differences(object: BlockMeta, entry: BlockMeta): string[] {
  const found: string[] = [];
  const check = (name: string, left: unknown, right: unknown): void => {
    if (left !== right) found.push(name);
  };
  check("format version", object.formatVersion, entry.formatVersion);
  check("owner", ownerOf(object), ownerOf(entry));
  check("shard", object.shard, entry.shard);
  check("level", object.compactionLevel, entry.compactionLevel);
  check("min time", object.minTimeMs, entry.minTimeMs);
  check("max time", object.maxTimeMs, entry.maxTimeMs);
  check("created by", textOf(object, object.createdBy), textOf(entry, entry.createdBy));
  // Some writers do not know it when they add the block.
  if (entry.sizeBytes !== 0n) check("size", object.sizeBytes, entry.sizeBytes);
  if (entry.metadataOffset !== 0n)
    check("metadata offset", object.metadataOffset, entry.metadataOffset);
  const datasets = object.datasets.length;
  check("number of datasets", datasets, entry.datasets.length);
  if (datasets !== entry.datasets.length) return found;
  for (let i = 0; i < datasets; i++) {
    const left = datasetText(object, object.datasets[i] as DatasetMeta);
    const right = datasetText(entry, entry.datasets[i] as DatasetMeta);
    check(`dataset ${i + 1} of ${datasets}`, left, right);
  }
  return found;
}

function ownerOf(meta: BlockMeta): string {
  return textOf(meta, meta.tenant);
}

function textOf(meta: BlockMeta, reference: number): string {
  return meta.stringTable[reference] ?? "";
}

/** Everything a dataset says, with its strings. */
function datasetText(meta: BlockMeta, dataset: DatasetMeta): string {
  const { minTimeMs, maxTimeMs, format, sizeBytes, tableOfContents } = dataset;
  const names = [textOf(meta, dataset.tenant), textOf(meta, dataset.name)];
  const numbers = [minTimeMs, maxTimeMs, format, String(sizeBytes), tableOfContents.map(String)];
  return JSON.stringify([...names, ...numbers, labelTexts(meta, dataset.labels)]);
}

/** Label sets: a count stands before the pairs of each. */
function labelTexts(meta: BlockMeta, labels: readonly number[]): (string | number)[] {
  const texts: (string | number)[] = [];
  for (let at = 0; at < labels.length; ) {
    const count = labels[at] as number;
    texts.push(count);
    const end = Math.min(labels.length, at + 1 + 2 * count);
    for (let i = at + 1; i < end; i++) texts.push(textOf(meta, labels[i] as number));
    at = Math.max(end, at + 1);
  }
  return texts;
}
