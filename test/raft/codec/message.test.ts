/** Peer messages: what comes back is what went out, and bytes that are not a message are refused by name. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { appendEntry, ByteSink, COMMAND } from "../../../src/protocol/index.ts";
import {
  CODEC_LIMITS,
  decodeMessage,
  encodeMembershipBody,
  encodeMessage,
} from "../../../src/raft/codec/index.ts";
import {
  type Append,
  type Batch,
  BATCH_KIND,
  MESSAGE,
  type Message,
  type SnapshotChunk,
} from "../../../src/raft/index.ts";
import { message as anyMessage } from "./arbitraries.ts";
import { attempt, frameOf, plain, resealed } from "./support.ts";

const RUNS = 300;
/** Fixed, so that a failure of one run is one of all runs; the fuzz target explores. */
const SEED = 20_261_122;

const VOTE: Message = {
  kind: MESSAGE.vote,
  from: "a",
  to: "b",
  term: 7,
  lastIndex: 9,
  lastTerm: 6,
  isTransfer: true,
};

const MEMBERS = [
  { id: "a", serverId: "hearth-0", address: "10.0.0.1:9095" },
  { id: "b", serverId: "hearth-1", address: "" },
];
const MEMBERSHIP = {
  members: MEMBERS,
  voters: ["a"],
  votersOutgoing: ["b"],
  learners: [],
  learnersNext: ["b"],
};

function entries(...sizes: number[]): Uint8Array {
  const sink = new ByteSink();
  for (const size of sizes) appendEntry(sink, COMMAND.noop, new Uint8Array(size).fill(size));
  return sink.copy();
}

function batch(values: Partial<Batch> = {}): Batch {
  const body = values.body ?? entries(3, 8);
  return {
    kind: BATCH_KIND.entries,
    firstIndex: 11,
    term: 5,
    appendedAtMs: 1000,
    count: 2,
    body,
    bodyBytes: body.length,
    ...values,
  };
}

function append(values: Partial<Append> = {}): Append {
  return {
    kind: MESSAGE.append,
    from: "a",
    to: "b",
    term: 6,
    previousIndex: 10,
    previousTerm: 4,
    commitIndex: 10,
    batches: [batch(), batch({ firstIndex: 13, term: 6, appendedAtMs: 1001 })],
    ...values,
  };
}

function chunk(values: Partial<SnapshotChunk> = {}): SnapshotChunk {
  return {
    kind: MESSAGE.snapshotChunk,
    from: "a",
    to: "b",
    term: 6,
    chunk: 1,
    bytes: Uint8Array.of(1, 2, 3),
    meta: {
      id: "s-1",
      index: 20,
      term: 5,
      membership: { index: 2, membership: MEMBERSHIP },
      appendedAtMs: 99,
      sizeBytes: 13,
      chunkBytes: 10,
      chunkCount: 2,
      digest: "ab".repeat(32),
    },
    ...values,
  };
}

test("every message comes back as it went out, bodies in place", () => {
  const seen = new Set<number>();
  const property = fc.property(anyMessage, (message) => {
    seen.add(message.kind);
    const frame = frameOf(message);
    const decoded = decodeMessage(frame);
    assert.deepEqual(plain(decoded), plain(message));
    if (decoded.kind !== MESSAGE.append) return;
    for (const { body } of decoded.batches) {
      assert.equal(body.buffer, frame.buffer);
      assert.equal((body.byteOffset - frame.byteOffset) % 8, 0);
    }
  });
  fc.assert(property, { numRuns: 5 * RUNS, seed: SEED });
  assert.equal(seen.size, Object.keys(MESSAGE).length, "every kind was tried");
});

test("encoding takes bodies by reference", () => {
  const body = entries(3, 8);
  const long = new Uint8Array(body.length + 64);
  long.set(body);
  const message = append({ batches: [batch({ body, bodyBytes: body.length })] });
  assert.equal(encodeMessage(message).pieces[1], body);
  const spare = append({ batches: [batch({ body: long, bodyBytes: body.length })] });
  assert.equal(encodeMessage(spare).pieces[1]?.buffer, long.buffer);
  assert.deepEqual(frameOf(spare), frameOf(message));
});

test("a vote has this very layout", () => {
  const number = (value: number): string => {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return bytes.toString("hex");
  };
  const words = Buffer.from(frameOf(VOTE)).toString("hex");
  assert.equal(words.slice(0, 24), "48504d53" + "0100" + "0300" + "48000000");
  assert.equal(
    words.slice(32),
    number(7) +
      number(9) +
      number(6) +
      number(0) +
      "01000000" +
      "00000000" +
      "0100" +
      "0100" +
      "00000000" +
      "6162000000000000",
  );
});

test("every cut of a frame is refused", () => {
  const property = fc.property(anyMessage, (message) => {
    const frame = frameOf(message);
    for (let length = 0; length < frame.length; length++) {
      const cut = frame.subarray(0, length);
      assert.equal(typeof attempt(cut), "string", `${length} of ${frame.length} bytes`);
      // Only whole multiples of 8 can get past the length.
      if (length % 8 !== 0 || length < 64) continue;
      assert.equal(typeof attempt(resealed(cut)), "string", `${length} bytes, sealed again`);
    }
    const longer = new Uint8Array(frame.length + 8);
    longer.set(frame);
    assert.equal(attempt(longer), "bad_length");
    assert.equal(typeof attempt(resealed(longer)), "string");
  });
  fc.assert(property, { numRuns: RUNS / 3, seed: SEED });
});

test("one changed byte never passes the checksum, and behind it gives an error or a message", () => {
  let refused = 0;
  let accepted = 0;
  const property = fc.property(anyMessage, fc.integer({ min: 1, max: 255 }), (message, change) => {
    const frame = frameOf(message);
    for (let at = 0; at < frame.length; at++) {
      const bytes = frame.slice();
      bytes[at] = (bytes[at] as number) ^ change;
      assert.equal(typeof attempt(bytes), "string", `byte ${at} xor ${change}`);
      const result = attempt(resealed(bytes));
      if (typeof result === "string") {
        refused++;
        continue;
      }
      accepted++;
      // What is accepted is a message that a member could have sent: it survives the way back.
      assert.deepEqual(plain(decodeMessage(frameOf(result))), plain(result), `byte ${at}`);
    }
  });
  fc.assert(property, { numRuns: RUNS / 3, seed: SEED });
  assert.ok(refused > 1000 && accepted > 1000, `${refused} refused, ${accepted} accepted`);
});

test("random bytes are refused", () => {
  const property = fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(20), (bytes, kind) => {
    assert.equal(typeof attempt(bytes), "string");
    if (bytes.length < 64) return;
    const framed = bytes.slice(0, bytes.length - (bytes.length % 8));
    framed.set([0x48, 0x50, 0x4d, 0x53, 1, 0, kind, 0]);
    attempt(resealed(framed));
  });
  fc.assert(property, { numRuns: 5 * RUNS, seed: SEED });
});

test("refusals have the right name", () => {
  const frame = frameOf(VOTE);
  const patched = (at: number, value: number): Uint8Array => {
    const bytes = frame.slice();
    bytes[at] = value;
    return bytes;
  };
  const cases: readonly (readonly [string, string, Uint8Array])[] = [
    ["nothing", "bad_length", new Uint8Array(0)],
    ["another protocol", "bad_magic", patched(0, 0x49)],
    ["a later version", "unsupported_version", patched(4, 2)],
    ["another length", "bad_length", patched(8, 0x50)],
    ["a changed byte", "bad_checksum", patched(30, 1)],
    ["an unknown kind", "bad_content", resealed(patched(6, 14))],
    ["kind 0", "bad_content", resealed(patched(6, 0))],
    ["a flag of 2", "bad_content", resealed(patched(48, 2))],
    ["a count that votes do not have", "bad_content", resealed(patched(52, 1))],
    ["an id over the limit", "too_large", resealed(patched(57, 1))],
    ["an id that does not fit", "bad_length", resealed(patched(58, 30))],
    ["an id that is a path", "bad_content", resealed(patched(64, 0x2e))],
    ["padding that is not zero", "bad_content", resealed(patched(70, 1))],
    ["no sender", "bad_content", resealed(patched(56, 0))],
  ];
  for (const [what, reason, bytes] of cases) assert.equal(attempt(bytes), reason, what);
  const large = new Uint8Array(CODEC_LIMITS.messageMaxBytes + 8);
  large.set(frame);
  assert.equal(attempt(large), "too_large", "a frame over the limit");
});

test("numbers that are no index are refused", () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, -1, -0, 0.5, 2 ** 53, 1e308]) {
    for (const at of [16, 24, 32]) {
      const bytes = frameOf(VOTE);
      new DataView(bytes.buffer).setFloat64(at, value, true);
      assert.equal(attempt(resealed(bytes)), "bad_content", `${value} at ${at}`);
    }
  }
});

/** A message that no encoder would make, as bytes: the encoder does not judge what the core says. */
test("what no correct member says is refused", () => {
  const membershipBody = encodeMembershipBody(MEMBERSHIP);
  const member = batch({ kind: BATCH_KIND.membership, body: membershipBody, count: 1 });
  const sized = { bodyBytes: membershipBody.length };
  assert.equal(typeof attempt(frameOf(append({ batches: [{ ...member, ...sized }] }))), "object");
  const two = new Uint8Array([...membershipBody, ...membershipBody]);
  const cases: readonly (readonly [string, Message])[] = [
    ["a gap before the entries", append({ previousIndex: 9 })],
    ["a gap between batches", append({ batches: [batch(), batch({ firstIndex: 14 })] })],
    ["a term above the sender's", append({ term: 5 })],
    ["terms that fall", append({ previousTerm: 6 })],
    ["a term before the first entry", append({ previousIndex: 0, batches: [] })],
    ["a previous term above the sender's", append({ previousTerm: 7, batches: [] })],
    ["fewer entries than said", append({ batches: [batch({ count: 3, body: entries(40, 40) })] })],
    ["more entries than said", append({ batches: [batch({ count: 1 })] })],
    ["no entries", append({ batches: [batch({ count: 0, body: new Uint8Array(0) })] })],
    ["an unknown kind of batch", append({ batches: [batch({ kind: 3 as 1 })] })],
    ["a membership that is none", append({ batches: [batch({ kind: BATCH_KIND.membership })] })],
    [
      "two memberships in a batch",
      append({ batches: [{ ...member, body: two, bodyBytes: two.length, count: 2 }] }),
    ],
    [
      "a membership among entries",
      append({ batches: [{ ...member, ...sized, kind: BATCH_KIND.entries }] }),
    ],
    [
      "an index too large",
      append({ previousIndex: 2 ** 53 - 3, batches: [batch({ firstIndex: 2 ** 53 - 2 })] }),
    ],
    ["a candidate behind its log", { ...VOTE, lastTerm: 7 } as Message],
    ["a term of an empty log", { ...VOTE, lastIndex: 0 } as Message],
    ["a snapshot above the sender's term", chunk({ term: 4 })],
    [
      "a hint above the sender's term",
      {
        kind: MESSAGE.appendReply,
        from: "a",
        to: "b",
        term: 3,
        isRejected: true,
        index: 9,
        hintIndex: 3,
        hintTerm: 4,
      },
    ],
  ];
  for (const [what, message] of cases) {
    assert.equal(typeof attempt(frameOf(message)), "string", what);
  }
});

test("chunks are as long as their snapshot says", () => {
  assert.equal(typeof attempt(frameOf(chunk())), "object");
  assert.equal(typeof attempt(frameOf(chunk({ chunk: 0, bytes: new Uint8Array(10) }))), "object");
  const frame = frameOf(chunk());
  const view = new DataView(frame.buffer);
  view.setFloat64(24, 0, true);
  assert.equal(attempt(resealed(frame)), "bad_content", "the last chunk as the first");
  view.setFloat64(24, 2, true);
  assert.equal(attempt(resealed(frame)), "bad_content", "a chunk behind the last");
  assert.throws(() => frameOf(chunk({ bytes: new Uint8Array(4) })), /is not one of its snapshot/);
});

test("counts are checked against the bytes before anything is allocated for them", () => {
  const frame = frameOf(append());
  const view = new DataView(frame.buffer);
  view.setUint32(52, 0xffff_ffff, true);
  assert.equal(attempt(resealed(frame)), "too_large");
  view.setUint32(52, CODEC_LIMITS.batchesMax, true);
  assert.equal(attempt(resealed(frame)), "bad_length");
  view.setUint32(52, 2, true);
  // Body bytes of the first batch header, which follows the head of 72 bytes.
  view.setUint32(72 + 8, 0xffff_fff8, true);
  const before = process.memoryUsage();
  for (let i = 0; i < 100; i++) assert.equal(attempt(resealed(frame)), "bad_length");
  const grown = process.memoryUsage().arrayBuffers - before.arrayBuffers;
  assert.ok(grown < 8 * 1024 * 1024, `${grown} bytes`);
});
