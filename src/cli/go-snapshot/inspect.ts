/** `hearth data inspect go-snapshot`: what is in a snapshot of the reference metastore; reads only. */

import { statSync } from "node:fs";
import { formatBytes, formatCount, isHearthError } from "../../base/index.ts";
import { type DiskFile, NODE_FILES, OPEN_MODE, withFile } from "../../files/index.ts";
import {
  decodeReferenceQueueEntry,
  decodeReferenceTombstone,
  encodeReferenceQueueEntry,
  encodeReferenceTombstone,
  type ReferencePair,
  type ReferenceQueueEntry,
  type ReferenceTombstone,
} from "../../protocol/index.ts";
import { type CommandContext, EXIT, type ExitCode, UsageError } from "../command.ts";
import { formatTable } from "../table.ts";
import { formatTime } from "../times.ts";
import { readBolt } from "./bolt-file.ts";

/** A line of the output. Instants are decimal texts: JSON numbers do not hold nanoseconds. */
type Finding =
  | ({ readonly kind: "block_queue_entry" } & WithTimeText<ReferenceQueueEntry> & Exactness)
  | ({ readonly kind: "tombstone" } & WithTimeText<ReferenceTombstone> & Exactness)
  | {
      readonly kind: "problem";
      readonly bucket: string;
      /** Hexadecimal, its beginning; "": the problem is not one of a record. */
      readonly key: string;
      readonly what: string;
    }
  | ({ readonly kind: "bucket" } & BucketTally);

type WithTimeText<T> = Omit<T, "appendedAtNs"> & { readonly appendedAtNs: string };

interface Exactness {
  /** Whether writing the record again gives the same bytes; if not, it has something that this version skips. */
  readonly isExact: boolean;
}

interface BucketTally {
  readonly name: string;
  /** With those of the buckets in it. */
  records: number;
  /** Of keys and values. */
  bytes: number;
}

/** Buckets whose records are decoded. */
const DECODERS: Readonly<Record<string, (pair: ReferencePair) => Finding>> = {
  compaction_block_queue: (pair) => {
    const entry = decodeReferenceQueueEntry(pair);
    const isExact = isSame(pair, encodeReferenceQueueEntry(entry));
    const appendedAtNs = String(entry.appendedAtNs);
    return { kind: "block_queue_entry", ...entry, appendedAtNs, isExact };
  },
  tombstones: (pair) => {
    const stored = decodeReferenceTombstone(pair);
    const isExact = isSame(pair, encodeReferenceTombstone(stored));
    const appendedAtNs = String(stored.appendedAtNs);
    return { kind: "tombstone", ...stored, appendedAtNs, isExact };
  },
};

/** Problems are told one by one up to here, and counted beyond. */
const PROBLEMS_SHOWN_MAX = 100;
const KEY_SHOWN_BYTES = 64;

export async function inspectGoSnapshot(
  { globals, spec, terminal, signal }: CommandContext,
  path: string,
): Promise<ExitCode> {
  // One object per line: such a file has as many records as there are blocks.
  const print = (finding: Finding): void => {
    if (globals.isJson) terminal.out(JSON.stringify({ schema: spec.schema, ...finding }, texts));
    else if (finding.kind !== "bucket") terminal.out(findingLine(finding));
  };
  const { tallies, problemCount } = await inOpenFile(path, (file) => look(file, print, signal));
  for (const tally of tallies) print({ kind: "bucket", ...tally });
  if (!globals.isJson) {
    const rows = tallies.map(({ name, records, bytes }) => [name, records, formatBytes(bytes)]);
    for (const line of formatTable(COLUMNS, rows)) terminal.out(line);
  }
  if (problemCount === 0) return EXIT.done;
  terminal.talk(
    `${formatCount(problemCount)} ${problemCount === 1 ? "problem" : "problems"} found`,
  );
  return EXIT.bad;
}

const COLUMNS = [
  { title: "BUCKET", align: "left" },
  { title: "RECORDS", align: "right" },
  { title: "SIZE", align: "right" },
] as const;

async function inOpenFile<T>(path: string, use: (file: DiskFile) => Promise<T>): Promise<T> {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true)
    throw new UsageError(`There is no file "${path}"`);
  return withFile(NODE_FILES, path, OPEN_MODE.read, async (file) => {
    await refuseCompressed(file, path);
    return use(file);
  });
}

const ZSTD_MAGIC = Buffer.of(0x28, 0xb5, 0x2f, 0xfd);

async function refuseCompressed(file: DiskFile, path: string): Promise<void> {
  const head = Buffer.alloc(ZSTD_MAGIC.length);
  await file.read(head, 0);
  if (!head.equals(ZSTD_MAGIC)) return;
  const next = `Decompress it first: zstd -d ${path} -o state.db`;
  throw new UsageError(`"${path}" is compressed with zstd`, next);
}

interface Look {
  readonly tallies: readonly BucketTally[];
  readonly problemCount: number;
}

async function look(
  file: DiskFile,
  print: (finding: Finding) => void,
  signal: AbortSignal,
): Promise<Look> {
  const tallies: BucketTally[] = [];
  let problemCount = 0;
  const report = (bucket: string, key: Uint8Array, error: unknown): void => {
    if (!isHearthError(error) || error.code !== "data_loss") throw error;
    problemCount++;
    if (problemCount > PROBLEMS_SHOWN_MAX) return;
    const shown = Buffer.from(key.subarray(0, KEY_SHOWN_BYTES)).toString("hex");
    print({ kind: "problem", bucket, key: shown, what: error.message });
  };
  try {
    for await (const { path, key, value } of readBolt(file)) {
      signal.throwIfAborted();
      const [bucket = ""] = path;
      if (key === null && path.length === 1) tallies.push({ name: bucket, records: 0, bytes: 0 });
      const tally = tallies.at(-1);
      if (key === null || tally === undefined) continue;
      tally.records++;
      tally.bytes += key.length + value.length;
      const decode = path.length === 1 ? DECODERS[bucket] : undefined;
      if (decode === undefined) continue;
      try {
        print(decode({ key, value }));
      } catch (error) {
        report(bucket, key, error);
      }
    }
  } catch (error) {
    report(tallies.at(-1)?.name ?? "", new Uint8Array(0), error);
  }
  return { tallies, problemCount };
}

function findingLine(finding: Exclude<Finding, { kind: "bucket" }>): string {
  if (finding.kind === "problem") {
    const { bucket, key, what } = finding;
    return `! ${bucket}${key === "" ? "" : ` ${key}`}: ${what}`;
  }
  const { kind, index, appendedAtNs, isExact } = finding;
  const at = `log index ${index}, ${formatTime(Number(BigInt(appendedAtNs) / 1_000_000n))}`;
  const more = isExact ? "" : "; not all of it is understood";
  if (kind === "block_queue_entry") {
    const { id, tenant, shard, level } = finding;
    return `queue ${id}  tenant "${tenant}", shard ${shard}, level ${level}; ${at}${more}`;
  }
  return `tombstone ${finding.name}  ${tombstoneText(finding.tombstone)}; ${at}${more}`;
}

function tombstoneText({ blocks, shard }: ReferenceTombstone["tombstone"]): string {
  const parts: string[] = [];
  if (blocks !== null) {
    const count = formatCount(blocks.blocks.length);
    parts.push(`${count} blocks of tenant "${blocks.tenant}", shard ${blocks.shard}`);
  }
  if (shard !== null) {
    const from = formatTime(Number(shard.timestampNs / 1_000_000n));
    const to = formatTime(Number((shard.timestampNs + shard.durationNs) / 1_000_000n));
    parts.push(`shard ${shard.shard} of tenant "${shard.tenant}", ${from} to ${to}`);
  }
  return parts.length === 0 ? "nothing" : parts.join(" and ");
}

/** For JSON.stringify: instants in tombstones too. */
function texts(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

function isSame(one: ReferencePair, other: ReferencePair): boolean {
  return Buffer.compare(one.key, other.key) === 0 && Buffer.compare(one.value, other.value) === 0;
}
