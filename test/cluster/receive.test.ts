/** What becomes of the memory in which bytes arrive. */

import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import { SYSTEM_SCHEDULER } from "../../src/base/index.ts";
import { encodeControl, FRAME } from "../../src/cluster/frames/frame.ts";
import { createPeerNetworkStats } from "../../src/cluster/metrics.ts";
import { Channel } from "../../src/cluster/transport/channel.ts";

test("what arrived is copied into frames, and its memory is free at once", () => {
  const socket = new EventEmitter() as Socket;
  const frames: Uint8Array[] = [];
  const owner = {
    onFrame: (_kind: number, frame: Uint8Array) => frames.push(frame),
    onEnd: () => assert.fail("the channel ends"),
  };
  const modules = { stats: createPeerNetworkStats(), scheduler: SYSTEM_SCHEDULER };
  const channel = new Channel(socket, { sendQueueMaxBytes: 1 }, modules, owner);
  channel.frameMaxBytes = Number.MAX_SAFE_INTEGER;
  const bytes = Buffer.concat(
    encodeControl(FRAME.request, { id: 1, body: new Uint8Array(100_000).fill(7) }),
  );
  const half = 60_000;
  // As the system gives them: each in memory of its own.
  const chunks = [bytes.subarray(0, half), bytes.subarray(half)].map((part) =>
    Buffer.from(new Uint8Array(part).buffer),
  );
  for (const chunk of chunks) socket.emit("data", chunk);
  assert.deepEqual(
    chunks.map(({ length }) => length),
    [0, 0],
  );
  assert.deepEqual(Buffer.from(frames[0] as Uint8Array), bytes);
});
