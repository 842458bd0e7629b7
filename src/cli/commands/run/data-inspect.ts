/** `hearth data inspect`: looks into the files of a stopped node; reads only. */
import { existsSync } from "node:fs";
import { formatBytes, formatCount } from "../../../base/index.ts";
import { loadConfig } from "../../../config/index.ts";
import type { IndexDatabase } from "../../../db/index.ts";
import type { VerifyReport } from "../../../state/index.ts";
import { type CommandContext, EXIT, type ExitCode, UsageError } from "../../command.ts";
import { formatTable } from "../../table.ts";

export async function run(context: CommandContext): Promise<ExitCode> {
  const what = context.operands[0];
  if (what !== "log" && what !== "index") {
    throw new UsageError(`"${what}" is not one of log, index`);
  }
  const directory = findDirectory(context, what);
  return what === "log" ? inspectTheLog(context, directory) : inspectTheIndex(context, directory);
}

/** The settings of this shell say where a node of this machine keeps its data. */
function findDirectory({ flags, environment }: CommandContext, what: "log" | "index"): string {
  const { config } = loadConfig({ argv: [], environment, checkMachine: false });
  const fromSettings = what === "log" ? config?.node.logDirectory : config?.node.dataDirectory;
  const directory = flags.text("dir") ?? fromSettings ?? "";
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
