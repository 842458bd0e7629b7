import assert from "node:assert/strict";
import { test } from "node:test";
import { AlignedViews, ByteSink } from "../../src/protocol/index.ts";

test("a view of a sink is borrowed, and a slice of it is a copy", () => {
  const sink = new ByteSink();
  sink.append(Uint8Array.of(1, 2, 3));
  const view = sink.view();
  const slice = view.slice();
  sink.reset();
  sink.append(Uint8Array.of(9));
  assert.equal(view[0], 9);
  assert.equal(slice[0], 1);
});

test("a sink grows and keeps its content", () => {
  const sink = new ByteSink(64);
  for (let i = 0; i < 1_000; i++) sink.appendWords(i, -i);
  assert.equal(sink.length, 8_000);
  assert.equal(sink.i32[2 * 999], 999);
  assert.equal(sink.i32[2 * 999 + 1], -999);
});

test("padding is zeros, whatever the sink held before", () => {
  const sink = new ByteSink();
  sink.append(new Uint8Array(64).fill(255));
  sink.reset();
  sink.append(Uint8Array.of(1));
  sink.align8();
  assert.deepEqual([...sink.view()], [1, 0, 0, 0, 0, 0, 0, 0]);
});

test("a copy owns its ArrayBuffer alone, so that it may be transferred", () => {
  const sink = new ByteSink();
  sink.append(Uint8Array.of(1, 2, 3, 4));
  const copy = sink.copy(1);
  assert.deepEqual([...copy], [2, 3, 4]);
  assert.equal(copy.buffer.byteLength, 3);
});

test("aligned bytes are seen in place, others through a copy", () => {
  const views = new AlignedViews();
  const bytes = new Uint8Array(32);
  views.point(bytes, 8, 16);
  assert.equal(views.u8.buffer, bytes.buffer);
  assert.equal(views.base, 8);
  views.point(bytes, 3, 16);
  assert.notEqual(views.u8.buffer, bytes.buffer);
  assert.equal(views.end - views.base, 16);
  views.point(bytes, 16, 16);
  assert.equal(views.u8.buffer, bytes.buffer);
  assert.throws(() => views.point(bytes, 16, 17), /outside/);
});
