/** Several frames in one message. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Prng } from "../../src/base/index.ts";
import {
  BUNDLE_MAX_BYTES,
  BUNDLED_FRAME_MAX_BYTES,
  BundleReader,
  BundleWriter,
  bundledBytes,
  createFrameHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  OP,
  readFrameHeader,
  usableBundleBytes,
} from "../../src/protocol/index.ts";

function bundle(frames: readonly Uint8Array[]): Uint8Array {
  const writer = new BundleWriter();
  for (const frame of frames) writer.add(frame);
  return new Uint8Array(writer.take());
}

/** The frames of a message, or null when it is no sound bundle. */
function open(message: Uint8Array): Uint8Array[] | null {
  const header = createFrameHeader();
  if (readFrameHeader(message, header) !== null) return null;
  return openWith(message, header);
}

function openWith(message: Uint8Array, header: FrameHeader): Uint8Array[] | null {
  const reader = new BundleReader();
  if (!reader.open(message, header)) return null;
  const frames: Uint8Array[] = [];
  while (reader.step()) frames.push(message.slice(reader.start, reader.end));
  return frames;
}

function randomFrames(prng: Prng, count: number): Uint8Array[] {
  return Array.from({ length: count }, () =>
    Uint8Array.from({ length: prng.nextInt(100) }, () => prng.nextInt(256)),
  );
}

describe("a bundle", () => {
  test("gives back its frames, each at a multiple of 8", () => {
    const prng = new Prng(1, 0);
    for (let i = 0; i < 200; i++) {
      const frames = randomFrames(prng, 2 + prng.nextInt(10));
      const message = bundle(frames);
      assert.deepEqual(open(message), frames);
      const header = createFrameHeader();
      readFrameHeader(message, header);
      const { opcode, flags, requestId, timeoutMs, aux } = header;
      assert.deepEqual(
        [opcode, flags, requestId, timeoutMs, aux],
        [OP.bundle, 0, 0, 0, frames.length],
      );
      const reader = new BundleReader();
      reader.open(message, header);
      while (reader.step()) assert.equal(reader.start % 8, 0);
      const bytes = frames.reduce((sum, { length }) => sum + bundledBytes(length), 0);
      assert.equal(message.length, FRAME_HEADER_BYTES + bytes);
    }
  });

  test("of one frame is that frame", () => {
    const frame = Uint8Array.from({ length: 21 }, (_, i) => i);
    assert.deepEqual(bundle([frame]), frame);
  });

  test("is written anew after it was taken", () => {
    const writer = new BundleWriter();
    writer.add(new Uint8Array(40).fill(1));
    writer.add(new Uint8Array(40).fill(2));
    assert.equal(writer.byteLength, writer.take().length);
    assert.equal(writer.isEmpty, true);
    const frames = [new Uint8Array(3).fill(3), new Uint8Array(5).fill(4)];
    for (const frame of frames) writer.add(frame);
    const message = new Uint8Array(writer.take());
    assert.deepEqual(open(message), frames);
    assert.deepEqual([...message.subarray(27, 32)], [0, 0, 0, 0, 0], "no bytes of before");
  });

  test("that is damaged gives no frames, or those that its bytes say, within the message", () => {
    const prng = new Prng(2, 0);
    let refused = 0;
    for (let i = 0; i < 20_000; i++) {
      const message = bundle(randomFrames(prng, 2 + prng.nextInt(5)));
      const at = prng.nextInt(message.length);
      message[at] = prng.pick([0, 1, 0x7f, 0x80, 0xff]);
      const cut = prng.nextChance(0.2)
        ? message.subarray(0, prng.nextInt(message.length))
        : message;
      const frames = open(cut);
      if (frames === null) refused++;
      else {
        const bytes = frames.reduce((sum, { length }) => sum + bundledBytes(length), 0);
        assert.equal(FRAME_HEADER_BYTES + bytes, cut.length);
      }
    }
    assert.ok(refused > 1_000 && refused < 19_000, `${refused} were refused`);
  });

  test("is refused when its frames do not fill it, or are not as many as it says", () => {
    const message = bundle([new Uint8Array(24), new Uint8Array(30)]);
    const header = createFrameHeader();
    readFrameHeader(message, header);
    for (const aux of [0, 1, 3, 0xffff_ffff])
      assert.equal(openWith(message, { ...header, aux }), null);
    const longer = new Uint8Array(message.length + 8);
    longer.set(message);
    assert.equal(openWith(longer, header), null);
    assert.equal(openWith(message.subarray(0, message.length - 8), header), null);
    assert.equal(openWith(message, { ...header, flags: 1 }), null);
    assert.equal(openWith(message, { ...header, requestId: 1 }), null);
    assert.equal(openWith(message, header)?.length, 2);
  });

  test("above the largest size is refused", () => {
    const frame = new Uint8Array(BUNDLED_FRAME_MAX_BYTES);
    const frames = Array.from({ length: 4 }, () => frame);
    assert.equal(open(bundle(frames)), null);
    assert.equal(open(bundle(frames.slice(1)))?.length, 3);
  });
});

test("an offer that is too small for the frames that may be in a bundle is none", () => {
  assert.equal(usableBundleBytes(0), 0);
  assert.equal(usableBundleBytes(BUNDLED_FRAME_MAX_BYTES), 0);
  assert.equal(usableBundleBytes(20_000), 20_000);
  assert.equal(usableBundleBytes(2 ** 32 - 1), BUNDLE_MAX_BYTES);
});
