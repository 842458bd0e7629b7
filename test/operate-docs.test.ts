/** The commands of pages in docs, as they stand there: a node for Pyroscope; three nodes by hand, one killed. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { inRoot } from "./support/project.ts";
import { findFreePorts } from "./support/ports.ts";

const LIMIT_MS = 240_000;
/** Ports of the page; each is replaced by a free one. */
const PORT = /\b(?:40[456][01]|91[01]9|909[5679])\b/g;

/** The shell blocks of a page, in order. */
function shellOf(page: string): string {
  const text = readFileSync(inRoot("docs", page), "utf8");
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((block) => block[1]).join("\n");
}

async function onFreePorts(script: string): Promise<{ script: string; endpoint: string }> {
  const ports = [...new Set(script.match(PORT) ?? []), "4040"].filter(
    (port, i, all) => all.indexOf(port) === i,
  );
  const free = await findFreePorts(ports.length);
  const replace = (port: string): string => String(free[ports.indexOf(port)]);
  return {
    script: script.replaceAll(PORT, replace),
    endpoint: `http://127.0.0.1:${replace("4040")}`,
  };
}

/** What nodes said last is the reason when a command of the page fails. */
const AT_THE_END =
  "code=$?; kill -9 $(jobs -p) 2>/dev/null || true; [ $code -eq 0 ] || tail -n 20 *.log; exit $code";

interface Ran {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a script with this checkout's `hearth` in its path; what it leaves in the background ends with it. */
async function runScript(page: string): Promise<Ran> {
  const directory = mkdtempSync(join(tmpdir(), "hearth-docs-"));
  const bin = join(directory, "bin");
  mkdirSync(bin);
  const program = `#!/bin/sh\nexec "${process.execPath}" "${inRoot("bin", "hearth.js")}" "$@"\n`;
  writeFileSync(join(bin, "hearth"), program, { mode: 0o755 });
  const { script, endpoint } = await onFreePorts(shellOf(page));
  const child = spawn("bash", ["-c", `set -e\ntrap '${AT_THE_END}' EXIT\n${script}`], {
    cwd: directory,
    env: {
      ...process.env,
      PATH: `${bin}:${process.env.PATH ?? ""}`,
      HEARTH_ENDPOINTS: endpoint,
      // The page waits for it; a test need not.
      HEARTH_METASTORE_MIN_READY_DURATION: "0s",
      // And it is not for a machine that does other work beside it.
      HEARTH_TIMEOUT: "60s",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const note = (part: Buffer): void => {
    output += part.toString();
  };
  child.stdout.on("data", note);
  child.stderr.on("data", note);
  const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  rmSync(directory, { recursive: true, force: true });
  return { code, output };
}

describe("docs/operate", () => {
  it("three-nodes.md makes a cluster that goes on without one of its nodes", async () => {
    const { code, output } = await runScript("operate/three-nodes.md");
    assert.equal(code, 0, output);
    assert.match(output, /^hearth-2 {2}voter /m);
    assert.match(output, /DEGRADED: 2 of 3 voters up, can lose 0/);
    assert.match(output, /^exit code 4$/m);
  });
});

describe("docs/pyroscope.md", () => {
  it("starts a metastore for Pyroscope, which accepts what belongs to other components", async () => {
    const { code, output } = await runScript("pyroscope.md");
    assert.equal(code, 0, output);
    assert.match(output, /healthy: 1 of 1 voter up/);
    assert.match(output, /ignored.*-architecture\.storage.*-tracing\.enabled.*-self-profiling/);
    assert.match(output, /"status":"success"/);
    assert.match(output, /^ {4}server_id: node-0$/m);
    assert.match(output, /^metastore\.yaml: no problems$/m);
    assert.match(output, /^overrides: \{\}$/m);
  });
});
