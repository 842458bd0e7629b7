import assert from "node:assert/strict";
import { test } from "node:test";
import { PrefixViews } from "../../src/base/index.ts";

test("views show the first bytes of the buffer, and equal lengths share one", () => {
  const views = new PrefixViews();
  const buffer = new ArrayBuffer(8192);
  const view = views.of(buffer, 24);
  new Uint8Array(buffer)[23] = 7;
  assert.equal(view.length, 24);
  assert.equal(view[23], 7);
  assert.equal(views.of(buffer, 24), view);
  assert.notEqual(views.of(buffer, 32), view);
});

test("no view outlives its buffer", () => {
  const views = new PrefixViews();
  const first = new ArrayBuffer(64);
  const second = new ArrayBuffer(64);
  views.of(first, 16);
  assert.equal(views.of(second, 16).buffer, second);
  assert.equal(views.of(first, 16).buffer, first);
});

test("odd and long lengths are right, and not kept", () => {
  const views = new PrefixViews();
  const buffer = new ArrayBuffer(8192);
  for (const bytes of [0, 8, 4096])
    assert.equal(views.of(buffer, bytes), views.of(buffer, bytes), `${bytes}`);
  for (const bytes of [1, 23, 4104, 8192]) {
    assert.equal(views.of(buffer, bytes).length, bytes);
    assert.notEqual(views.of(buffer, bytes), views.of(buffer, bytes), `${bytes}`);
  }
});
