import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Route } from "../../src/admin/index.ts";
import { HearthError } from "../../src/base/index.ts";
import { ask, request } from "./support.ts";
import { Router } from "../../src/admin/index.ts";
import { SILENT_LOGGER } from "../../src/base/index.ts";

const text = (body: string): { status: number; headers: object; body: string } => ({
  status: 200,
  headers: {},
  body,
});

const ROUTES: readonly Route[] = [
  { method: "GET", path: "/things", summary: "All", handle: () => text("all") as never },
  { method: "POST", path: "/things", summary: "New", handle: () => text("new") as never },
  {
    method: "GET",
    path: "/things/{id}",
    summary: "One",
    handle: (_, { id }) => text(`one ${id}`) as never,
  },
  {
    method: "GET",
    path: "/files/{path...}",
    summary: "File",
    handle: (_, { path }) => text(`file ${path}`) as never,
  },
  {
    method: "GET",
    path: "/broken",
    summary: "Bug",
    handle: () => {
      throw new TypeError("secret detail");
    },
  },
  {
    method: "GET",
    path: "/busy",
    summary: "Busy",
    handle: async () => {
      throw new HearthError("unavailable", "Nobody leads", {
        next: "Ask again",
        leader: { id: "a", address: "a:1" },
        retryAfterMs: 1_500,
      });
    },
  },
];

describe("routing", () => {
  it("finds a path, with parameters decoded one by one", async () => {
    assert.equal((await ask(ROUTES, "/things")).text, "all");
    assert.equal((await ask(ROUTES, "/things?x=1", { method: "POST" })).text, "new");
    assert.equal((await ask(ROUTES, "/things/a%2Fb%20c")).text, "one a/b c");
    assert.equal((await ask(ROUTES, "/things/%zz")).text, "one %zz");
    assert.equal((await ask(ROUTES, "/files/a/b/c")).text, "file a/b/c");
  });

  it("answers HEAD like GET", async () => {
    assert.equal((await ask(ROUTES, "/things", { method: "HEAD" })).status, 200);
  });

  it("an unknown path is 404 with a suggestion", async () => {
    const answer = await ask(ROUTES, "/thingz");
    assert.equal(answer.status, 404);
    assert.deepEqual(answer.json(), {
      error: {
        code: "not_found",
        message: "There is nothing at /thingz",
        next: "Did you mean /things?",
        leader: null,
        requestId: "test-1",
      },
    });
    assert.equal((await ask(ROUTES, "/things/")).status, 404);
    assert.equal((await ask(ROUTES, "/files/")).status, 404);
  });

  it("a wrong method is 405 and names the right ones", async () => {
    const answer = await ask(ROUTES, "/things", { method: "DELETE" });
    assert.equal(answer.status, 405);
    assert.equal(answer.headers.allow, "GET, POST");
    assert.match(answer.json().error.next, /Use GET, POST/);
  });

  it("a bug in a handler is 500 and tells nothing of itself", async () => {
    const answer = await ask(ROUTES, "/broken");
    assert.equal(answer.status, 500);
    assert.equal(answer.json().error.code, "internal");
    assert.ok(!answer.text.includes("secret detail"));
  });

  it("an error of ours keeps its code, its advice and its leader", async () => {
    const answer = await ask(ROUTES, "/busy");
    assert.equal(answer.status, 503);
    assert.equal(answer.headers["retry-after"], "2");
    assert.deepEqual(answer.json().error, {
      code: "unavailable",
      message: "Nobody leads",
      next: "Ask again",
      leader: { id: "a", address: "a:1" },
      requestId: "test-1",
    });
  });

  it("the label of a request is the route, never the path", async () => {
    const router = new Router({ routes: ROUTES, logger: SILENT_LOGGER });
    assert.equal((await router.dispatch(request("/things/42"))).route, "/things/{id}");
    assert.equal((await router.dispatch(request("/made/up"))).route, "other");
  });
});
