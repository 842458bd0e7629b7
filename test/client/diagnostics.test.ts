/** What a program around the client can watch, and that watching costs nothing when nobody does. */
import assert from "node:assert/strict";
import { channel, tracingChannel } from "node:diagnostics_channel";
import { describe, it } from "node:test";
import { collectBlocks, type RequestContext } from "../../src/client/index.ts";
import { isTracing } from "../../src/client/diagnostics.ts";
import { refusal } from "./fake-server.ts";
import { EVERYTHING, failureOf, startPair, ULID_A } from "./fixture.ts";
import { planChunk } from "./plan-chunks.ts";

const requests = tracingChannel<unknown, RequestContext>("hearth:client:request");

interface Seen {
  readonly events: string[];
  readonly contexts: Set<RequestContext>;
  stop(): void;
}

function watch(): Seen {
  const events: string[] = [];
  const contexts = new Set<RequestContext>();
  const note = (name: string) => (context: unknown) => {
    events.push(name);
    contexts.add(context as RequestContext);
  };
  const handlers = {
    start: note("start"),
    end: note("end"),
    asyncStart: note("asyncStart"),
    asyncEnd: note("asyncEnd"),
    error: note("error"),
  };
  requests.subscribe(handlers);
  return { events, contexts, stop: () => requests.unsubscribe(handlers) };
}

describe("diagnostics", () => {
  it("a call is one context from start to end", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => request.answerWrite({ logIndex: 1, term: 1 });
    const seen = watch();
    t.after(() => seen.stop());
    await client.readIndex();
    assert.deepEqual(seen.events, ["start", "end", "asyncStart", "asyncEnd"]);
    const [context] = seen.contexts;
    assert.equal(seen.contexts.size, 1);
    assert.deepEqual(
      [context!.method, context!.endpoint, context!.requestId, context!.attempts],
      ["readIndex", server.endpoint, String(server.requests[0]!.requestId), 1],
    );
  });

  it("a failed call carries its error", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => request.fail(refusal("not_found"));
    const seen = watch();
    t.after(() => seen.stop());
    const error = await failureOf(client.readIndex());
    const [context] = seen.contexts;
    assert.equal(context!.error, error);
    assert.ok(seen.events.includes("error"));
  });

  it("a stream ends its context when its loop ends", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => request.answerBytes(planChunk([ULID_A]));
    const seen = watch();
    t.after(() => seen.stop());
    await collectBlocks(client.queryMetadata(EVERYTHING));
    assert.deepEqual(seen.events, ["start", "end", "asyncStart", "asyncEnd"]);
    server.script = (request) => request.fail(refusal("not_found"));
    await failureOf(collectBlocks(client.queryMetadata(EVERYTHING)));
    assert.deepEqual(seen.events.slice(4), ["start", "end", "error", "asyncStart", "asyncEnd"]);
  });

  it("connections are told on their channel", async (t) => {
    const kinds: string[] = [];
    const onMessage = (message: unknown): void => {
      kinds.push((message as { kind: string }).kind);
    };
    channel("hearth:client:connection").subscribe(onMessage);
    t.after(() => channel("hearth:client:connection").unsubscribe(onMessage));
    const { client } = await startPair(t);
    await client.close();
    assert.deepEqual(kinds, ["connecting", "connected", "closed"]);
  });

  it("nobody subscribed: nobody is told", () => {
    assert.equal(isTracing(), false);
    const seen = watch();
    assert.equal(isTracing(), true);
    seen.stop();
    assert.equal(isTracing(), false);
  });
});

describe("status", () => {
  it("every reader gets the state first, and may leave at any time", async (t) => {
    const { server, client } = await startPair(t);
    const first = client.status()[Symbol.asyncIterator]();
    const second = client.status()[Symbol.asyncIterator]();
    for (const reader of [first, second]) {
      assert.equal(((await reader.next()).value as { kind: string }).kind, "connected");
    }
    const pending = second.next();
    await second.return?.();
    assert.equal((await pending).done, true);
    server.kill();
    const { value } = await first.next();
    assert.equal(value?.kind, "disconnected");
  });

  it("a reader that comes after the end learns of it", async (t) => {
    const { client } = await startPair(t);
    await client.close();
    const kinds: string[] = [];
    for await (const status of client.status()) kinds.push(status.kind);
    assert.deepEqual(kinds, ["closed"]);
  });

  it("a reader that does not read costs a bounded queue and keeps the newest", async (t) => {
    const { StatusFeed } = await import("../../src/client/status-feed.ts");
    const feed = new StatusFeed();
    const reader = feed.subscribe()[Symbol.asyncIterator]();
    for (let attempt = 1; attempt <= 1_000; attempt++) {
      feed.publish({ kind: "connecting", endpoint: "a:1", attempt });
    }
    feed.publish({ kind: "closed", reason: "test" });
    let count = 0;
    let last = "";
    for (;;) {
      const { done, value } = await reader.next();
      if (done === true) break;
      count += 1;
      last = value.kind;
    }
    assert.deepEqual([count, last], [64, "closed"]);
    t.diagnostic(`${count} of 1001 kept`);
  });
});
