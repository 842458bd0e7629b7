/** `hearth dev`: local nodes to try things with; they live as long as this command does. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { formatCount, formatDuration } from "../../../base/index.ts";
import { type CommandContext, EXIT, type ExitCode, UsageError } from "../../command.ts";
import { type DevNode, httpUrl, peerAddress, planNodes, websocketAddress } from "../../dev/plan.ts";
import { type DevProcess, DevProcesses, logFile } from "../../dev/processes.ts";
import { addSampleData, type SampleData } from "../../dev/sample.ts";
import { InterruptedError } from "../../failure.ts";
import { formatTable } from "../../table.ts";

const NODES_MAX = 9;

interface Started {
  readonly directory: string;
  readonly isTemporary: boolean;
  readonly processes: readonly DevProcess[];
  readonly sample: SampleData | null;
  readonly tookMs: number;
}

export async function run(context: CommandContext): Promise<ExitCode> {
  const nodeCount = readCount(context, "nodes", { whenAbsent: 1, least: 1, most: NODES_MAX });
  const basePort = readCount(context, "base-port", { whenAbsent: 4_040, least: 0, most: 65_000 });
  const given = context.flags.text("dir");
  const directory = given === null ? mkdtempSync(join(tmpdir(), "hearth-dev-")) : resolve(given);
  const interrupt = interruption();
  try {
    mkdirSync(directory, { recursive: true });
    const nodes = await planNodes({ directory, nodeCount, basePort });
    await live(context, nodes, { directory, isTemporary: given === null, signal: interrupt });
  } finally {
    if (given === null) rmSync(directory, { recursive: true, force: true });
  }
  return EXIT.done;
}

interface Surroundings {
  readonly directory: string;
  readonly isTemporary: boolean;
  readonly signal: AbortSignal;
}

/** From the start of the nodes to their stop. */
async function live(
  context: CommandContext,
  nodes: readonly DevNode[],
  { directory, isTemporary, signal }: Surroundings,
): Promise<void> {
  const { terminal, globals, nowMs } = context;
  const startedAtMs = performance.now();
  const say = (text: string): void => {
    if (!globals.isQuiet) terminal.talk(text);
  };
  const script = process.argv[1] as string;
  const processes = new DevProcesses(script, nodes, ({ node, pid }, how) =>
    say(`${node.name} (process ${pid}) has ended ${how}; its log is ${logFile(node)}`),
  );
  try {
    say(`starting ${nodes.length} ${nodes.length === 1 ? "node" : "nodes"} in ${directory} ...`);
    processes.start();
    await processes.ready(globals.timeoutMs, signal);
    const sample = context.flags.has("sample")
      ? await addSampleData(nodes.map(websocketAddress), nowMs(), signal)
      : null;
    const tookMs = performance.now() - startedAtMs;
    show(context, { directory, isTemporary, processes: processes.running, sample, tookMs });
    await aborted(signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    say("stopping ...");
    await processes.stop();
  }
}

function show({ globals, spec, terminal }: CommandContext, started: Started): void {
  const { directory, processes, sample, tookMs } = started;
  if (globals.isJson) {
    const nodes = processes.map(({ node, pid }) => ({
      name: node.name,
      pid,
      http: httpUrl(node),
      websocket: `ws://${websocketAddress(node)}`,
      peer: peerAddress(node),
      log: logFile(node),
    }));
    terminal.out(JSON.stringify({ schema: spec.schema, directory, nodes, sample }));
    return;
  }
  const rows = processes.map(({ node, pid }) => [
    node.name,
    httpUrl(node),
    `ws://${websocketAddress(node)}`,
    peerAddress(node),
    String(pid),
  ]);
  const count = processes.length === 1 ? "1 node is" : `${processes.length} nodes are`;
  const end = started.isTemporary ? " (removed at the end)" : "";
  terminal.out(
    `${count} ready after ${formatDuration(Math.round(tookMs / 100) * 100)}, data in ${directory}${end}`,
  );
  for (const line of formatTable(COLUMNS, rows)) terminal.out(line);
  if (sample !== null) {
    const tenants = sample.tenants.join(", ");
    terminal.out(`sample   ${formatCount(sample.blockCount)} blocks of ${tenants}`);
  }
  for (const line of nextLines(started)) terminal.out(line);
}

const COLUMNS = [
  { title: "NODE", align: "left" },
  { title: "HTTP", align: "left" },
  { title: "WEBSOCKET", align: "left" },
  { title: "PEERS", align: "left" },
  { title: "PROCESS", align: "right" },
] as const;

function nextLines({ processes, sample }: Started): string[] {
  const [first] = processes;
  if (first === undefined) return [];
  const url = httpUrl(first.node);
  const endpoint = url.endsWith(":4040") ? "" : ` --endpoint ${url}`;
  const lines = ["next, in another terminal:", `  npx hearth status${endpoint}`];
  if (sample !== null) {
    const [tenant] = sample.tenants;
    lines.push(`  npx hearth query blocks '{}' --tenant ${tenant} --from now-2h${endpoint}`);
  }
  const last = processes.at(-1);
  if (processes.length > 1 && last !== undefined)
    lines.push(`  kill -9 ${last.pid}     ${last.node.name} is gone; look at the status again`);
  return [...lines, "Ctrl-C stops everything"];
}

/** The first signal stops in order. Under npm one Ctrl-C arrives several times, so a second one means the same. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(name, () => controller.abort(new InterruptedError()));
  return controller.signal;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

interface CountRange {
  readonly whenAbsent: number;
  readonly least: number;
  readonly most: number;
}

function readCount({ flags }: CommandContext, name: string, range: CountRange): number {
  const written = flags.text(name);
  if (written === null) return range.whenAbsent;
  const value = /^\d{1,6}$/.test(written) ? Number(written) : Number.NaN;
  if (value >= range.least && value <= range.most) return value;
  throw new UsageError(
    `--${name}: "${written}" is not a whole number from ${range.least} to ${range.most}`,
  );
}
