/** The README's first five minutes, word for word against a real server. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { inRoot, ROOT } from "./support/project.ts";
import { type ServerProcess, startServer } from "./support/server-process.ts";

const COMMAND_LIMIT_MS = 120_000;

/** Lines of the shell blocks between "First five minutes" and the next heading. */
function readmeCommands(): string[] {
  const text = readFileSync(inRoot("README.md"), "utf8");
  const section = text.split(/^## /m).find((part) => part.startsWith("First five minutes")) ?? "";
  const blocks = [...section.matchAll(/^```sh\n([\s\S]*?)^```$/gm)];
  return blocks.flatMap((block) => (block[1] as string).trim().split("\n"));
}

describe("the first five minutes of the README", () => {
  const directory = mkdtempSync(join(tmpdir(), "hearth-readme-"));
  let server: ServerProcess;

  before(async () => {
    server = await startServer({ directory });
  });

  after(async () => {
    await server?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it("begin with npm start", () => {
    assert.equal(readmeCommands()[0], "npm start");
  });

  for (const command of readmeCommands().slice(1)) {
    it(`${command} answers`, async () => {
      const output = await run(command, server);
      assert.notEqual(output.trim(), "");
      if (command.includes("query blocks")) assert.match(output, /01[0-9A-Z]{24}/);
      if (command.includes("query labels")) assert.match(output, /process_cpu/);
      if (command.includes("tenant list")) assert.match(output, /anonymous/);
    });
  }
});

/** Runs the line as it stands, but against the test's server. */
async function run(command: string, server: ServerProcess): Promise<string> {
  const url = /^curl (http:\S+)$/.exec(command)?.[1];
  if (url !== undefined) {
    const answer = await fetch(url.replace("http://127.0.0.1:4040", server.httpUrl));
    assert.equal(answer.status, 200);
    return answer.text();
  }
  assert.match(command, /^npx hearth /);
  const line = command.replace(/^npx hearth/, `"${process.execPath}" bin/hearth.js`);
  const env = { ...process.env, HEARTH_ENDPOINTS: server.httpUrl, HEARTH_TIMEOUT: "60s" };
  return new Promise((resolve, reject) => {
    execFile(
      "sh",
      ["-c", line],
      { cwd: ROOT, env, timeout: COMMAND_LIMIT_MS },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`${command}: ${error.message}\n${stdout}${stderr}`));
      },
    );
  });
}
