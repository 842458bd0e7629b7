/** `hearth data inspect`: looks into the files of a stopped node, or of the reference; reads only. */
import { existsSync } from "node:fs";
import { formatBytes, formatCount } from "../../../base/index.ts";
import { loadConfig } from "../../../config/index.ts";
import type { IndexDatabase } from "../../../db/index.ts";
import type { VerifyReport } from "../../../state/index.ts";
import { type CommandContext, EXIT, type ExitCode, UsageError } from "../../command.ts";
import type { SnapshotRecord } from "../../../snapshot/index.ts";
import { formatTable } from "../../table.ts";
import { formatTime } from "../../times.ts";

const INSPECTORS = {
  log: inspectTheLog,
  index: inspectTheIndex,
  snapshot: inspectTheSnapshots,
} as const;
type Inspected = keyof typeof INSPECTORS;

/** Where each lies, by the settings that say so: the first that is not empty. */
const DIRECTORY_SETTINGS: Readonly<Record<Inspected, readonly [string, ...string[]]>> = {
  log: ["metastore.raft.dir"],
  index: ["metastore.data-dir"],
  snapshot: ["metastore.raft.snapshots-dir", "metastore.raft.dir"],
};

const GO_SNAPSHOT = "go-snapshot";

export async function run(context: CommandContext): Promise<ExitCode> {
  const [what = "", path] = context.operands;
  if (what === GO_SNAPSHOT) {
    if (path === undefined) throw new UsageError("Which file? Name the state.bin of a snapshot");
    const { inspectGoSnapshot } = await import("../../go-snapshot/inspect.ts");
    return inspectGoSnapshot(context, path);
  }
  if (!(what in INSPECTORS)) {
    const known = [...Object.keys(INSPECTORS), GO_SNAPSHOT].join(", ");
    throw new UsageError(`"${what}" is not one of ${known}`);
  }
  if (path !== undefined) throw new UsageError(`"${path}" is one operand too many`);
  return INSPECTORS[what as Inspected](context, findDirectory(context, what as Inspected));
}

/** The settings of this shell say where a node of this machine keeps its data. */
function findDirectory({ flags, environment }: CommandContext, what: Inspected): string {
  const { values } = loadConfig({ argv: [], environment, checkMachine: false });
  const settings = DIRECTORY_SETTINGS[what].map((name) => String(values.get(name) ?? ""));
  const directory = flags.text("dir") ?? settings.find((value) => value !== "") ?? "";
  if (existsSync(directory)) return directory;
  throw new UsageError(`There is no directory "${directory}"`, "Name it with --dir");
}

async function inspectTheLog(
  { globals, spec, terminal }: CommandContext,
  directory: string,
): Promise<ExitCode> {
  const { formatLogRecord, inspectLog } = await import("../../../log/index.ts");
  const { logFilesDirectory } = await import("../../server/directories.ts");
  let problemCount = 0;
  const files = logFilesDirectory(directory);
  await inspectLog(existsSync(files) ? files : directory, (record) => {
    if (record.kind === "problem") problemCount++;
    // One object per line: a log has millions of entries, and a reader may stop at any of them.
    terminal.out(
      globals.isJson ? JSON.stringify({ schema: spec.schema, ...record }) : formatLogRecord(record),
    );
  });
  if (problemCount === 0) return EXIT.done;
  terminal.talk(
    `${formatCount(problemCount)} ${problemCount === 1 ? "problem" : "problems"} found`,
  );
  return EXIT.bad;
}

async function inspectTheIndex(context: CommandContext, directory: string): Promise<ExitCode> {
  const { globals, spec, terminal, flags } = context;
  const { IndexDatabase, INDEX_DATABASE_DEFAULTS, TABLES } = await import("../../../db/index.ts");
  if (!existsSync(`${directory}/lmdb`)) {
    throw new UsageError(
      `"${directory}" holds no index database`,
      "Name metastore.data-dir with --dir",
    );
  }
  const { mapSizeBytes } = INDEX_DATABASE_DEFAULTS;
  const db = IndexDatabase.open({ directory, mapSizeBytes, role: "reader" });
  const fileBytes = db.fileSizeBytes();
  const tables = TABLES.map((name) => ({ name, ...db.tableStats(name) }));
  const check = flags.has("verify") ? await verify(db) : null;
  await db.close();
  if (globals.isJson) {
    terminal.out(JSON.stringify({ schema: spec.schema, directory, fileBytes, tables, check }));
  } else {
    const rows = tables.map(({ name, entries, bytes }) => [name, entries, formatBytes(bytes)]);
    for (const line of formatTable(TABLE_COLUMNS, rows)) terminal.out(line);
    terminal.out(`file ${formatBytes(fileBytes)} in ${directory}`);
    for (const line of check === null ? [] : checkLines(check)) terminal.out(line);
  }
  return check === null || check.problemsCount === 0 ? EXIT.done : EXIT.bad;
}

const TABLE_COLUMNS = [
  { title: "TABLE", align: "left" },
  { title: "ROWS", align: "right" },
  { title: "SIZE", align: "right" },
] as const;

async function verify(db: IndexDatabase): Promise<VerifyReport> {
  const { verifyIndex } = await import("../../../state/index.ts");
  db.beginRead();
  try {
    return verifyIndex(db);
  } finally {
    db.endRead();
  }
}

function checkLines(check: VerifyReport): string[] {
  const { problems, problemsCount, blocks, shards, appliedIndex } = check;
  const seen = `${formatCount(blocks)} blocks in ${formatCount(shards)} shards, applied ${formatCount(appliedIndex)}`;
  if (problemsCount === 0) return [`sound: ${seen}`];
  return [
    `DAMAGED: ${formatCount(problemsCount)} problems; ${seen}`,
    ...problems.map((problem) => `  ! ${problem}`),
    "next: delete the index directory while the node is stopped; the next start rebuilds it from the log",
  ];
}

async function inspectTheSnapshots(
  { globals, spec, terminal, flags }: CommandContext,
  directory: string,
): Promise<ExitCode> {
  if (!existsSync(`${directory}/snapshots`)) {
    throw new UsageError(
      `"${directory}" holds no snapshots`,
      `Name ${DIRECTORY_SETTINGS.snapshot[0]} with --dir`,
    );
  }
  const { inspectSnapshots } = await import("../../../snapshot/index.ts");
  const records = await inspectSnapshots({ directory, verifiesData: flags.has("verify") });
  if (globals.isJson) {
    terminal.out(JSON.stringify({ schema: spec.schema, directory, snapshots: records }));
  } else {
    for (const line of formatTable(SNAPSHOT_COLUMNS, records.map(snapshotCells)))
      terminal.out(line);
  }
  const problems = records.filter(({ kind }) => kind === "problem");
  if (problems.length === 0) return EXIT.done;
  const count = `${problems.length} ${problems.length === 1 ? "snapshot is" : "snapshots are"}`;
  terminal.talk(`${count} damaged; the next start puts them aside and uses an older one`);
  return EXIT.bad;
}

const SNAPSHOT_COLUMNS = [
  { title: "NAME", align: "left" },
  { title: "LOG INDEX", align: "right" },
  { title: "TERM", align: "right" },
  { title: "SIZE", align: "right" },
  { title: "LOG TIME", align: "left" },
  { title: "VOTERS", align: "right" },
  { title: "STATE", align: "left" },
] as const;

function snapshotCells(record: SnapshotRecord): (string | number | null)[] {
  const { name, kind } = record;
  if (kind === "problem") return [name, null, null, null, null, null, `DAMAGED: ${record.what}`];
  if (kind !== "snapshot") return [name, null, null, null, null, null, kind];
  const { index, term, sizeBytes, appendedAtMs, membership } = record.meta;
  const { voters } = membership.membership;
  const state = record.isDataVerified ? "sound, all data read" : "complete";
  const size = formatBytes(sizeBytes);
  return [name, index, term, size, formatTime(appendedAtMs), voters.length, state];
}
