/** A process that has closed its client ends by itself: no timer and no socket is left. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { startServer } from "./fixture.ts";

const CLIENT_URL = new URL("../../src/client/index.js", import.meta.url).href;

async function run(code: string): Promise<string> {
  const script = `import { connect } from ${JSON.stringify(CLIENT_URL)};\n${code}`;
  const args = ["--input-type=module", "--eval", script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 120_000 });
  return stdout.trim();
}

describe("the process", () => {
  it("ends after close(), with calls open, aborted and repeated before", async (t) => {
    const server = await startServer(t);
    server.script = (request) => {
      if (server.requests.length % 2 === 0) request.answerWrite({ logIndex: 1, term: 1 });
    };
    const output = await run(`
      const limits = { connectTimeoutMs: 100_000, defaultTimeoutMs: 100_000 };
      const client = await connect({ endpoints: ["${server.endpoint}"], ...limits });
      const calls = Array.from({ length: 10 }, () => client.readIndex());
      const stream = client.queryMetadata({ tenants: [""], selector: "{}", startAtMs: 0, endAtMs: 1 });
      calls.push(stream[Symbol.asyncIterator]().next());
      void Promise.allSettled(calls).then((all) => console.log("settled", all.length));
      await new Promise((resolve) => setTimeout(resolve, 50));
      await client.close();
      const endMs = performance.now();
      process.on("exit", () => console.log("late", performance.now() - endMs > 60_000));
    `);
    assert.deepEqual(output.split("\n"), ["settled 11", "late false"]);
  });

  it("ends after a connect() that failed", async (t) => {
    const server = await startServer(t, { isMute: true });
    const output = await run(`
      const options = { endpoints: ["${server.endpoint}", "127.0.0.1:1"], connectTimeoutMs: 300 };
      await connect(options).catch((error) => console.log(error.code));
      const endMs = performance.now();
      process.on("exit", () => console.log("late", performance.now() - endMs > 60_000));
    `);
    assert.deepEqual(output.split("\n"), ["unavailable", "late false"]);
  });

  it("sees no unhandled rejection when the server dies under load", async (t) => {
    const server = await startServer(t);
    server.script = () => {
      if (server.requests.length === 50) server.kill();
    };
    const output = await run(`
      process.on("unhandledRejection", () => { console.log("unhandled"); process.exit(1); });
      const client = await connect({ endpoints: ["${server.endpoint}"], defaultTimeoutMs: 60_000 });
      const calls = Array.from({ length: 50 }, () => client.rawCommand(new Uint8Array(16)));
      const all = await Promise.allSettled(calls);
      console.log(new Set(all.map(({ reason }) => reason.sent)).size, all[0].reason.sent);
      await client.close();
    `);
    assert.equal(output, "1 maybe");
  });
});
