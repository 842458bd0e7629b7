/** A load, or blocks of files, that nobody takes: what is said while it waits, and how it ends. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Readiness } from "../../src/cli/node-api.ts";
import { StallWatch } from "../../src/cli/stall-watch.ts";
import { OP } from "../../src/protocol/index.ts";
import { FakeServer, refusal } from "../client/fake-server.ts";
import { hearth, withNode } from "./support.ts";

const NO_LEADER = "not ready: no leader for 12 s: reached 1 of 3 voters (hearth-1 no answer)";

describe("work that does not get on", () => {
  function bench(word: Readiness | null) {
    const said: string[] = [];
    const time = { nowMs: 0 };
    let asked = 0;
    const readiness = async (): Promise<Readiness | null> => {
      asked += 1;
      return word;
    };
    const watch = new StallWatch({
      api: { readiness },
      say: (text) => said.push(text),
      clock: () => time.nowMs,
    });
    watch.start();
    const lookAt = async (nowMs: number): Promise<string[]> => {
      time.nowMs = nowMs;
      await watch.look();
      return said.splice(0);
    };
    return { watch, lookAt, asked: () => asked };
  }

  it("says why after a second, and again every ten", async () => {
    const { watch, lookAt, asked } = bench({ text: "http://a:4040 is not ready", isReady: false });
    assert.deepEqual(await lookAt(900), []);
    assert.equal(asked(), 0, "a node is asked only when there is something to ask");
    const first = "nothing was acknowledged for 1 s: http://a:4040 is not ready";
    assert.deepEqual(await lookAt(1_000), [first]);
    assert.deepEqual(await lookAt(10_900), []);
    assert.deepEqual(await lookAt(11_000), [first.replace("1 s", "11 s")]);
    watch.moved();
    assert.deepEqual(await lookAt(11_900), []);
    assert.deepEqual(await lookAt(12_000), [first]);
    watch.stop();
    assert.deepEqual(await lookAt(60_000), []);
  });

  it("is no news for ten seconds while the node sees nothing wrong, or says nothing", async () => {
    for (const word of [{ text: "http://a:4040 is ready", isReady: true }, null]) {
      const { watch, lookAt } = bench(word);
      assert.deepEqual(await lookAt(9_900), []);
      const reason = word === null ? "" : ": http://a:4040 is ready";
      assert.deepEqual(await lookAt(10_000), [`nothing was acknowledged for 10 s${reason}`]);
      watch.stop();
    }
  });
});

describe("hearth bench load without a leader", () => {
  async function load(...flags: string[]): Promise<{ code: number; talk: string; url: string }> {
    const server = await FakeServer.start();
    let startedAtMs = 0;
    // For three seconds as a member without a leader answers, then with what is not repeated.
    server.script = (request) => {
      if (request.opcode !== OP.add_blocks) return;
      if (startedAtMs === 0) startedAtMs = performance.now();
      const isOver = performance.now() - startedAtMs > 3_000;
      const error = isOver
        ? refusal("internal", { reason: "test" })
        : refusal("unavailable", { reason: "not_leader", retryAfterMs: 100 });
      request.fail(error);
    };
    try {
      return await withNode(
        ({ url }) =>
          url === "/ready"
            ? { status: 503, body: `${NO_LEADER}\n` }
            : { body: { websocketAddress: server.endpoint } },
        async ({ endpoint }) => {
          const argv = ["bench", "load", "--blocks", "20", "--endpoint", endpoint, ...flags];
          return { ...(await hearth(argv)), url: endpoint };
        },
      );
    } finally {
      await server.stop();
    }
  }

  it("says at once what it waits for, and how far it came", async () => {
    const { code, talk, url } = await load();
    const [said = "", end = ""] = talk.split("\n");
    assert.equal(code, 1);
    assert.match(said, /^nothing was acknowledged for [1-3] s: /);
    assert.ok(said.endsWith(`: ${url} is ${NO_LEADER}`), said);
    assert.match(end, /^hearth: Added 0 of 20 blocks, then nothing was acknowledged for \d+ s: /);
  });

  it("only ends with the reason where nobody wants talk", async () => {
    const { code, talk } = await load("--quiet");
    assert.equal(code, 1);
    assert.match(talk, /^hearth: Added 0 of 20 blocks, then nothing/);
  });
});

describe("hearth block add without a leader", () => {
  it("says what it waits for", async () => {
    const answer = ({ url }: { readonly url: string }) =>
      url === "/ready" ? { status: 503, body: `${NO_LEADER}\n` } : null;
    await withNode(answer, async ({ endpoint }) => {
      const flags = ["--timeout", "3s", "--endpoint", endpoint];
      const { code, talk } = await hearth(["block", "add", "examples/blocks", ...flags]);
      assert.notEqual(code, 0);
      const [said = ""] = talk.split("\n");
      assert.match(said, /^nothing was acknowledged for [1-3] s: /);
      assert.ok(said.endsWith(`: ${endpoint} is ${NO_LEADER}`), said);
    });
  });
});
