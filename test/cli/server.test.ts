/** The program as people run it: processes, signals, ports, directories. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { InterruptedError } from "../../src/cli/failure.ts";
import { inRoot } from "../support/project.ts";
import { type ServerProcess, startServer } from "../support/server-process.ts";
import { hearth, hearthAt, type Said } from "./support.ts";

const AT_ONCE = "-metastore.min-ready-duration=0s";

/** Runs the program to its end. */
function run(argv: readonly string[]): Promise<{ code: number | null; talk: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [inRoot("bin", "hearth.js"), ...argv], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let talk = "";
    child.stderr.on("data", (part: Buffer) => {
      talk += part.toString();
    });
    child.once("close", (code) => resolve({ code, talk }));
  });
}

describe("a running node", () => {
  let directory = "";
  let server: ServerProcess;
  const ask = (...argv: string[]): Promise<Said> => hearthAt(server.httpUrl, ...argv);

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), "hearth-server-"));
    server = await startServer({ directory, flags: [AT_ONCE] });
  });
  after(async () => {
    await server.kill();
    rmSync(directory, { recursive: true });
  });

  it("takes the real files and finds them again", async () => {
    const added = await ask("block", "add", inRoot("examples", "blocks"));
    assert.equal(added.out, "added 16 blocks from 9 of 9 files; 2 more came again", added.talk);
    const range = ["--from", "2025-02-01", "--to", "2025-03-01"];
    const found = await ask(
      "query",
      "blocks",
      '{service_name="pyroscope"}',
      "--tenant",
      "anonymous",
      ...range,
    );
    assert.equal(found.code, 0, found.talk);
    assert.deepEqual(
      found.out
        .split("\n")
        .slice(1)
        .map((line) => line.split("  ")[0]),
      ["01JKT2S01VKBSQ0NERD845XTZY", "01JKT3DJREX3NVDAYNZMBA1FA2"],
    );
    assert.equal((await ask("tenant", "list")).out, "anonymous");
    const got = await ask(
      "block",
      "get",
      "01JKT2S01VKBSQ0NERD845XTZY",
      "--tenant",
      "anonymous",
      "--shard",
      "3",
      "--json",
    );
    assert.equal(JSON.parse(got.out).blocks[0].datasets.length, 2);
  });

  it("a selector that does not parse is misuse, with the place", async () => {
    const said = await ask("query", "blocks", "{a=", "--tenant", "anonymous");
    assert.equal(said.code, 2, said.talk);
    assert.match(said.talk, /^hearth: /);
  });

  it("takes a generated load through the binary protocol", async () => {
    const said = await ask(
      "bench",
      "load",
      "--blocks",
      "500",
      "--batch",
      "10",
      "--in-flight",
      "8",
      "--json",
    );
    assert.equal(said.code, 0, said.talk);
    const { schema, blocks, requests, latency } = JSON.parse(said.out);
    assert.deepEqual([schema, blocks, requests], ["hearth/bench-load/v1", 500, 50]);
    assert.ok(latency.p50Ms > 0 && latency.p50Ms <= latency.maxMs);
    const status = JSON.parse((await ask("status", "--json")).out).nodes[0];
    assert.equal(status.index.blocks, 516);
  });

  it("Ctrl-C ends a load with exit 130", async () => {
    const interrupt = new AbortController();
    const argv = ["bench", "load", "--blocks", "10000000", "--endpoint", server.httpUrl, "--quiet"];
    const running = hearth(argv, { signal: interrupt.signal });
    setTimeout(() => interrupt.abort(new InterruptedError()), 200);
    const { code, talk } = await running;
    assert.deepEqual([code, talk], [130, "hearth: interrupted"]);
  });

  it("is scraped: one exposition, with its own names and the process's", async () => {
    const text = await (await fetch(`${server.httpUrl}/metrics`)).text();
    for (const line of [
      /^hearth_raft_is_leader 1$/m,
      /^hearth_index_blocks \d+$/m,
      /^hearth_log_sync_duration_seconds_count [1-9]/m,
      /^hearth_health_check\{type="ready",name="leader"\} 1$/m,
      /^pyroscope_metastore_raft_state\{state="Leader"\} 1$/m,
      /^pyroscope_request_duration_seconds_count\{method="POST",route="\/api\/v1\/blocks",status_code="200",ws="false"\} 1$/m,
      /^hearth_raft_elections_total\{kind="won"\} 1$/m,
      /^hearth_raft_batch_entries_count [1-9]/m,
      /^pyroscope_metastore_fsm_apply_command_duration_seconds_count\{command="1"\} [1-9]/m,
      /^pyroscope_panic_total 0$/m,
      /^process_resident_memory_bytes /m,
      /^nodejs_eventloop_lag_seconds /m,
    ]) {
      assert.match(text, line);
    }
    const names = text
      .split("\n")
      .filter((line) => line.startsWith("# TYPE"))
      .map((line) => line.split(" ")[2]);
    assert.equal(new Set(names).size, names.length, "each metric is declared once");
  });

  it("a second node on its directories is refused, and says by whom they are held", async () => {
    const { code, talk } = await run([
      "-server.http-listen-port=0",
      "-server.grpc-listen-port=0",
      "-hearth.websocket-listen-port=0",
      `-metastore.data-dir=${join(directory, "data")}`,
      `-metastore.raft.dir=${join(directory, "raft")}`,
    ]);
    assert.equal(code, 1, talk);
    assert.match(talk, new RegExp(`start step failed.*process ${server.pid}`));
  });

  it("a second node on its port is refused, and leaves nothing running", async () => {
    const other = mkdtempSync(join(tmpdir(), "hearth-server-"));
    const port = (address: string): string => address.split(":").at(-1) ?? "";
    const directories = [
      `-metastore.data-dir=${join(other, "data")}`,
      `-metastore.raft.dir=${join(other, "raft")}`,
    ];
    const http = await run([
      ...directories,
      `-server.http-listen-port=${port(server.httpUrl)}`,
      "-server.http-listen-address=127.0.0.1",
    ]);
    assert.equal(http.code, 1);
    assert.match(http.talk, /something else listens there/);
    const websocket = await run([
      ...directories,
      "-server.http-listen-port=0",
      "-server.grpc-listen-port=0",
      "-hearth.websocket-listen-address=127.0.0.1",
      `-hearth.websocket-listen-port=${port(server.endpoint)}`,
    ]);
    assert.equal(websocket.code, 1);
    assert.match(websocket.talk, /Cannot listen on 127\.0\.0\.1/);
    rmSync(other, { recursive: true });
  });

  it("stops in order at SIGTERM, and comes back with everything", async () => {
    const before = JSON.parse((await ask("status", "--json")).out).nodes[0];
    assert.equal(await server.stop(), 0, server.output());
    assert.match(server.output(), /stop step done" step=(\d+)\/\1 what="closing http"/);
    assert.match(server.output(), /msg="node has stopped"/);
    assert.equal(
      (await hearth(["data", "inspect", "log", "--dir", join(directory, "raft")])).code,
      0,
    );
    assert.match(
      (await hearth(["data", "inspect", "index", "--dir", join(directory, "data")])).out,
      /^TABLE +ROWS +SIZE\nmeta /,
    );
    rmSync(join(directory, "data"), { recursive: true });
    server = await startServer({ directory, flags: [AT_ONCE] });
    const status = JSON.parse((await ask("status", "--json")).out).nodes[0];
    assert.equal(status.index.blocks, before.index.blocks, "the index is rebuilt from the log");
    assert.equal(status.raft.term, before.raft.term + 1);
    assert.equal(status.clusterId, before.clusterId);
  });

  it("loses nothing that was acknowledged when it is killed", async () => {
    const before = JSON.parse((await ask("status", "--json")).out).nodes[0];
    await server.kill();
    server = await startServer({ directory, flags: [AT_ONCE, "-hearth.listener=ws"] });
    const status = JSON.parse((await ask("status", "--json")).out).nodes[0];
    assert.equal(status.index.blocks, before.index.blocks);
    assert.equal(status.listener, "ws");
    assert.equal((await ask("tenant", "list")).code, 0);
  });
});

describe("readiness of a start", () => {
  it("waits for the time it was told, in words", async () => {
    const directory = mkdtempSync(join(tmpdir(), "hearth-server-"));
    const child = spawn(
      process.execPath,
      [
        inRoot("bin", "hearth.js"),
        "-server.http-listen-port=0",
        "-server.grpc-listen-port=0",
        "-hearth.websocket-listen-port=0",
        "-hearth.websocket-listen-address=127.0.0.1",
        "-server.http-listen-address=127.0.0.1",
        "-metastore.min-ready-duration=1h",
        `-metastore.data-dir=${join(directory, "data")}`,
        `-metastore.raft.dir=${join(directory, "raft")}`,
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    try {
      let talk = "";
      const port = await new Promise<string>((resolve) => {
        child.stderr.on("data", (part: Buffer) => {
          talk += part.toString();
          const match = /msg="node is serving".* http=127\.0\.0\.1:(\d+)\s/.exec(talk);
          if (match?.[1] !== undefined) resolve(match[1]);
        });
      });
      const answer = await fetch(`http://127.0.0.1:${port}/ready`);
      assert.equal(answer.status, 503);
      assert.match(
        await answer.text(),
        /^not ready: consistent for \d\S*(?: \S+)? of 1h \(metastore\.min-ready-duration\)\n$/,
      );
      assert.equal((await fetch(`http://127.0.0.1:${port}/livez`)).status, 200);
      assert.equal((await hearthAt(`http://127.0.0.1:${port}`, "status")).code, 4);
    } finally {
      const closed = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGTERM");
      await closed;
      rmSync(directory, { recursive: true });
    }
  });
});

describe("a start that is given up", () => {
  it("stops in order when the signal comes before it serves", async () => {
    const directory = mkdtempSync(join(tmpdir(), "hearth-server-"));
    const child = spawn(
      process.execPath,
      [
        inRoot("bin", "hearth.js"),
        "-server.http-listen-port=0",
        "-server.grpc-listen-port=0",
        "-hearth.websocket-listen-port=0",
        `-metastore.data-dir=${join(directory, "data")}`,
        `-metastore.raft.dir=${join(directory, "raft")}`,
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    let talk = "";
    child.stderr.on("data", (part: Buffer) => {
      const isFirst = !talk.includes("step=2/");
      talk += part.toString();
      if (isFirst && talk.includes("step=2/")) child.kill("SIGTERM");
    });
    const code = await new Promise((resolve) => child.once("close", resolve));
    rmSync(directory, { recursive: true });
    assert.equal(code, 0, talk);
    assert.match(talk, /msg="node has stopped"/);
  });
});

describe("a log that cannot be written any more", () => {
  /** Lets every write to a file fail, in all threads, once the file `broken` is there, as a dying disk would. */
  const breakWrites = (broken: string): string => `
    import fs from "node:fs";
    import { syncBuiltinESMExports } from "node:module";
    const { write, writeSync } = fs;
    // Not what is said to people.
    const isBroken = (fd) => fd > 2 && fs.existsSync(${JSON.stringify(broken)});
    const failure = () => Object.assign(new Error("EIO: i/o error, write"), { code: "EIO" });
    fs.write = (...args) => {
      if (!isBroken(args[0])) return write(...args);
      setImmediate(args.at(-1), failure(), 0);
    };
    fs.writeSync = (...args) => {
      if (!isBroken(args[0])) return writeSync(...args);
      throw failure();
    };
    syncBuiltinESMExports();
  `;

  async function startBreakable(
    directory: string,
    flags: readonly string[],
  ): Promise<ServerProcess> {
    const before = process.env.NODE_OPTIONS;
    const source = encodeURIComponent(breakWrites(brokenIn(directory)));
    process.env.NODE_OPTIONS = `--import=data:text/javascript,${source}`;
    const server = await startServer({ directory, flags });
    if (before === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = before;
    return server;
  }

  /** The file whose being there breaks the disk. */
  function brokenIn(directory: string): string {
    return join(directory, "broken");
  }

  it("is what a stop ends with whose log could not be written to its end", async () => {
    const directory = mkdtempSync(join(tmpdir(), "hearth-server-"));
    const server = await startBreakable(directory, [AT_ONCE]);
    writeFileSync(brokenIn(directory), "");
    assert.equal(await server.stop(), 74, server.output());
    assert.match(server.output(), /msg="node cannot go on" reason=log_write_failed .*exit=74/);
    assert.match(server.output(), /msg="node has stopped"/);
    rmSync(directory, { recursive: true });
  });

  it("ends the process with 74, promises nothing, and a restart has what was promised", async () => {
    const directory = mkdtempSync(join(tmpdir(), "hearth-server-"));
    const flags = [AT_ONCE];
    let server = await startBreakable(directory, flags);
    const blocks = inRoot("examples", "blocks");
    const add = (): Promise<Said> => hearthAt(server.httpUrl, "block", "add", blocks);
    assert.equal((await add()).code, 0);
    writeFileSync(brokenIn(directory), "");
    const refused = await add();
    assert.ok([1, 3].includes(refused.code), refused.talk);
    assert.equal(await server.stop(), 74, server.output());
    assert.match(server.output(), /msg="node cannot go on" reason=log_write_failed .*exit=74/);
    server = await startServer({ directory, flags });
    const status = await hearthAt(server.httpUrl, "status", "--json");
    await server.stop();
    rmSync(directory, { recursive: true });
    assert.equal(JSON.parse(status.out).nodes[0].index.blocks, 16);
  });
});
