/**
 * `npm run interop`: a client on another gRPC implementation (Python's grpcio) against three real servers. The last line
 * says how many checks passed and failed, or the one before it why they were skipped.
 */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { TestCluster } from "../support/cluster/index.ts";
import { parseCommandLine, readCommandLine } from "../support/command-line.ts";
import { inRoot } from "../support/project.ts";
import { Processes, type Wish } from "./processes.ts";
import { findPython } from "./python.ts";

/** What takes longer hangs. */
const LIMIT_MS = 300_000;
/** The time that a stopping node says so, and that one must have been consistent to be ready. */
const FLAGS = [
  "-metastore.min-ready-duration=1s",
  "-metastore.index.dlq-recovery-check-interval=1s",
  "-log.level=warn",
];
const OUTPUT_SHOWN_CHARS = 2_000;

interface Result {
  readonly check: string;
  readonly ms: number;
  readonly problem: string | null;
}

interface Counts {
  passed: number;
  failed: number;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const USAGE = `npm run interop -- [options]: a client on another gRPC implementation drives three real servers
  --install  installs that implementation where it is missing`;

const { values } = readCommandLine(USAGE, (argv) =>
  parseCommandLine({ install: { type: "boolean", default: false } }, argv),
);
const python = await findPython(values.install);
const counts: Counts = { passed: 0, failed: 0 };
if (python.path === null) {
  say(`interop SKIPPED: ${python.reason}`);
} else {
  say(`interop with ${python.version}`);
  await runChecks(python.path, counts);
}
say(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed === 0 ? 0 : 1;

async function runChecks(path: string, results: Counts): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "hearth-interop-"));
  const cluster = await TestCluster.create({ directory, nodeCount: 3, flags: FLAGS });
  try {
    const code = await drive(path, { cluster, bucket: join(directory, "bucket") }, results);
    if (code === 0 && results.passed + results.failed > 0) return;
    results.failed += 1;
    say(`the checks ended with ${code ?? "a signal"}`);
  } finally {
    await cluster.killAll();
    if (results.failed > 0) for (const node of cluster.nodes) say(tail(node.serverId, node.output));
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Resolves with the status of the checks once they have ended. */
async function drive(
  path: string,
  { cluster, bucket }: { readonly cluster: TestCluster; readonly bucket: string },
  results: Counts,
): Promise<number | null> {
  const plan = {
    schemas: inRoot("schemas"),
    bucket,
    seed: 1,
    nodes: cluster.nodes.map(({ serverId: id, grpcAddress: address, peerAddress: peer }) => ({
      id,
      address,
      peer,
    })),
  };
  const child = spawn(path, [inRoot("test", "interop", "checks.py"), JSON.stringify(plan)], {
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1", GRPC_VERBOSITY: "ERROR" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const processes = new Processes(cluster);
  for await (const line of createInterface({ input: child.stdout })) {
    const said = JSON.parse(line) as Wish | Result;
    if ("check" in said) {
      note(said, results);
    } else {
      child.stdin.write(`${JSON.stringify(await processes.fulfil(said))}\n`);
    }
  }
  clearTimeout(timer);
  return ended;
}

function note({ check, ms, problem }: Result, results: Counts): void {
  if (problem === null) results.passed += 1;
  else results.failed += 1;
  say(
    `${problem === null ? "  ok   " : "  FAIL "} ${check}  ${ms} ms${problem === null ? "" : `\n         ${problem}`}`,
  );
}

function tail(name: string, output: string): string {
  return `--- ${name}\n${output.slice(-OUTPUT_SHOWN_CHARS)}`;
}
