import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { HearthError, Prng } from "../../src/base/index.ts";
import { type Encoding, pack, unpack } from "../../src/grpc/compression.ts";
import { MessageReader, PREFIX_BYTES, writePrefix } from "../../src/grpc/framing.ts";
import { snappyPack, snappyUnpack, TooLargeError } from "../../src/grpc/snappy.ts";

function framed(message: Uint8Array, isPacked = false): Buffer {
  const bytes = Buffer.alloc(PREFIX_BYTES + message.length);
  writePrefix(bytes, message.length, isPacked);
  bytes.set(message, PREFIX_BYTES);
  return bytes;
}

function reasonOf(result: unknown): string {
  assert.ok(result instanceof HearthError);
  return result.reason;
}

/** Content of several kinds: none, short, repeating, random, long. */
function contents(): Buffer[] {
  const prng = new Prng(7);
  const noise = (length: number): Buffer =>
    Buffer.from(Array.from({ length }, () => prng.nextInt(256)));
  return [
    Buffer.alloc(0),
    Buffer.from("a"),
    Buffer.from("abcd".repeat(3)),
    noise(61),
    noise(70_000),
    Buffer.alloc(200_000, "service_name"),
    Buffer.concat([noise(100), Buffer.alloc(65_536), noise(100), Buffer.alloc(65_536, "xy")]),
  ];
}

function unpacked(bytes: Uint8Array, encoding: Encoding, maxBytes = 1 << 20): Promise<unknown> {
  return new Promise((resolve) => unpack(bytes, encoding, maxBytes, resolve));
}

describe("messages", () => {
  it("are put together from any pieces", () => {
    const message = Buffer.from("the message");
    const bytes = framed(message);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const reader = new MessageReader(1_000);
      assert.equal(reader.add(bytes.subarray(0, cut)), null);
      assert.equal(reader.add(bytes.subarray(cut)), null);
      assert.deepEqual(reader.finish(), { isPacked: false, message });
    }
  });

  it("are refused when too large, too short, too many or flagged", () => {
    const reader = (bytes: Uint8Array, maxBytes = 10): unknown => {
      const messages = new MessageReader(maxBytes);
      return messages.add(bytes) ?? messages.finish();
    };
    assert.ok(!(reader(framed(Buffer.alloc(10))) instanceof HearthError));
    assert.equal(reasonOf(reader(framed(Buffer.alloc(11)))), "message_too_large");
    // Before anything of it is there.
    assert.equal(reasonOf(reader(framed(Buffer.alloc(11)).subarray(0, 5))), "message_too_large");
    assert.equal(reasonOf(reader(framed(Buffer.alloc(9)).subarray(0, 13))), "bad_message");
    assert.equal(reasonOf(reader(Buffer.alloc(0))), "bad_message");
    assert.equal(
      reasonOf(reader(Buffer.concat([framed(Buffer.alloc(3)), Buffer.alloc(1)]))),
      "bad_message",
    );
    const flagged = framed(Buffer.alloc(3));
    flagged[0] = 2;
    assert.equal(reasonOf(reader(flagged)), "bad_message");
  });
});

describe("compression", () => {
  it("gzip and snappy come out as they went in", async () => {
    for (const encoding of ["gzip", "snappy"] as const) {
      for (const content of contents()) {
        const packed = await new Promise<Uint8Array | null>((resolve) =>
          pack(content, encoding, resolve),
        );
        assert.ok(packed !== null);
        const result = (await unpacked(packed, encoding)) as Uint8Array;
        assert.ok(content.equals(result), `${encoding}, ${content.length} bytes`);
      }
    }
  });

  it("is worth its name for what repeats", () => {
    assert.ok(snappyPack(Buffer.alloc(200_000, "service_name")).length < 20_000);
  });

  it("is bounded in what it may come to", async () => {
    const large = Buffer.alloc(100_000);
    assert.equal(reasonOf(await unpacked(gzipSync(large), "gzip", 99_999)), "message_too_large");
    assert.equal(
      reasonOf(await unpacked(snappyPack(large), "snappy", 99_999)),
      "message_too_large",
    );
    const bomb = gzipSync(Buffer.alloc(64 << 20));
    assert.equal(reasonOf(await unpacked(bomb, "gzip", 1 << 20)), "message_too_large");
  });

  it("of garbage is a typed error", async () => {
    for (const encoding of ["gzip", "snappy"] as const) {
      assert.equal(reasonOf(await unpacked(Buffer.from("garbage"), encoding)), "bad_compression");
    }
    assert.equal(reasonOf(await unpacked(Buffer.alloc(0), "gzip")), "bad_compression");
    assert.equal(reasonOf(await unpacked(Buffer.from("x"), "identity")), "bad_compression");
  });

  it("snappy of nothing may be no bytes at all, as Go writes it", async () => {
    const nothing = await unpacked(Buffer.alloc(0), "snappy");
    assert.ok(nothing instanceof Uint8Array && nothing.length === 0);
  });

  it("snappy reads every kind of element", () => {
    // "abcdefgh" as a literal, then copies with one, two and four bytes of offset, which may overlap.
    const block = Buffer.from([
      26,
      7 << 2,
      ...Buffer.from("abcdefgh"),
      0b001 | (0 << 2) | (0 << 5),
      8,
      ((6 - 1) << 2) | 2,
      8,
      0,
      ((8 - 1) << 2) | 3,
      1,
      0,
      0,
      0,
    ]);
    const expected = Buffer.from("abcdefgh" + "abcd" + "efghab" + "bbbbbbbb");
    const plain = snappyPack(expected);
    const header = plain.subarray(0, 10);
    const crc = plain.subarray(14, 18);
    const chunk = Buffer.from([0, 4 + block.length, 0, 0]);
    const skipped = Buffer.from([0xfe, 2, 0, 0, 9, 9]);
    const stream = Buffer.concat([header, skipped, chunk, crc, block]);
    assert.equal(snappyUnpack(stream, 100).toString(), expected.toString());
    assert.throws(() => snappyUnpack(stream, 25), TooLargeError);
  });

  it("snappy survives every damage", () => {
    const prng = new Prng(11);
    const stream = snappyPack(Buffer.concat([Buffer.alloc(300, "abcdef"), Buffer.from("tail")]));
    for (let i = 0; i < 20_000; i++) {
      const bytes = Buffer.from(stream);
      for (let k = 0; k <= prng.nextInt(3); k++)
        bytes[prng.nextInt(bytes.length)] = prng.nextInt(256);
      const cut = prng.nextChance(0.2) ? prng.nextInt(bytes.length) : bytes.length;
      try {
        snappyUnpack(bytes.subarray(0, cut), 1 << 20);
      } catch (error) {
        assert.ok(error instanceof HearthError || error instanceof TooLargeError, String(error));
      }
    }
  });
});
