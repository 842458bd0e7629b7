/** `hearth retention forecast`: what goes next, and what becomes due in the time ahead. */
import { formatBytes, formatCount } from "../../../base/index.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { countOf } from "../../compaction/answers.ts";
import { NodeApi } from "../../node-api.ts";
import { type Column, formatTable } from "../../table.ts";

export interface ForecastPart {
  readonly at: string;
  readonly shards: number;
  readonly blocks: number;
  readonly bytes: number;
  readonly listed: readonly {
    readonly tenant: string;
    readonly partition: string;
    readonly shard: number;
    readonly blocks: number;
    readonly bytes: number;
    readonly newestData: string | null;
  }[];
}

export interface ForecastAnswer {
  readonly shardsPerPassMax: number;
  readonly nextPass: ForecastPart;
  readonly ahead: ForecastPart;
}

const COLUMNS: readonly Column[] = [
  { title: "PARTITION", align: "left" },
  { title: "TENANT", align: "left" },
  { title: "SHARD", align: "right" },
  { title: "BLOCKS", align: "right" },
  { title: "SIZE", align: "right" },
  { title: "NEWEST DATA", align: "left" },
];

export async function run(context: CommandContext): Promise<ExitCode> {
  const { flags, globals, terminal } = context;
  const query = new URLSearchParams();
  for (const name of ["ahead", "limit"]) {
    const value = flags.text(name);
    if (value !== null) query.set(name, value);
  }
  const path = `/api/v1/retention/forecast?${query.toString()}`;
  const { endpoint, value } = await NodeApi.of(context).json<ForecastAnswer>({
    method: "GET",
    path,
  });
  if (globals.isJson) {
    terminal.out(JSON.stringify({ ...value, endpoint }));
    return EXIT.done;
  }
  for (const line of forecastLines(value)) terminal.out(line);
  return EXIT.done;
}

export function forecastLines({ nextPass, ahead, shardsPerPassMax }: ForecastAnswer): string[] {
  const lines = [`next pass, ${nextPass.at}: ${sumText(nextPass)}`];
  if (nextPass.shards > shardsPerPassMax)
    lines.push(`  ${shardsPerPassMax} of them at a time, a second apart`);
  lines.push(`until ${ahead.at}: ${sumText(ahead)}`);
  if (ahead.listed.length === 0) return lines;
  const rows = ahead.listed.map(({ partition, tenant, shard, blocks, bytes, newestData }) => [
    partition.slice(0, 16),
    tenant === "" ? "(anonymous)" : tenant,
    shard,
    blocks,
    formatBytes(bytes),
    newestData,
  ]);
  lines.push(...formatTable(COLUMNS, rows));
  const hidden = ahead.shards - ahead.listed.length;
  if (hidden > 0) lines.push(`and ${formatCount(hidden)} more`);
  return lines;
}

function sumText({ shards, blocks, bytes }: ForecastPart): string {
  if (shards === 0) return "nothing";
  return `${countOf(shards, "shard")}, ${countOf(blocks, "block")}, ${formatBytes(bytes)}`;
}
