/** Writes on their way to the leader: what comes back, and what is known when nothing does. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError, SYSTEM_SCHEDULER } from "../../src/base/index.ts";
import type { PeerAnswer } from "../../src/cluster/index.ts";
import { appendEntry, ByteSink, COMMAND } from "../../src/protocol/index.ts";
import type { ProposalResult } from "../../src/service/index.ts";
import { FORWARD_DEFAULTS, WriteForwarder } from "../../src/service/index.ts";
import {
  decodeForwarded,
  decodeOutcome,
  encodeForwarded,
  encodeOutcome,
  type ForwardedEntries,
} from "../../src/service/cluster/forward.ts";

function entries(count: number): Uint8Array<ArrayBuffer> {
  const sink = new ByteSink();
  for (let i = 0; i < count; i++) appendEntry(sink, COMMAND.noop, new Uint8Array(i));
  return sink.copy() as Uint8Array<ArrayBuffer>;
}

const NEVER_MS = Number.POSITIVE_INFINITY;

function asked(count: number, deadlineAtMs = NEVER_MS): ForwardedEntries {
  return { body: entries(count), count, deadlineAtMs };
}

function forward(
  answer: () => Promise<PeerAnswer>,
  options: Partial<ConstructorParameters<typeof WriteForwarder>[0]> = {},
): (count: number) => Promise<ProposalResult> {
  const forwarder = new WriteForwarder(
    { ...FORWARD_DEFAULTS, timeoutMs: 100, ...options },
    { network: { request: answer }, scheduler: SYSTEM_SCHEDULER },
  );
  return (count) => new Promise((resolve) => forwarder.forward("leader", asked(count), resolve));
}

function failureOf(result: ProposalResult): HearthError {
  assert.ok(!result.ok);
  return result.error;
}

describe("the way there", () => {
  it("entries arrive as they were, at a multiple of 8", () => {
    const body = entries(3);
    const decoded = decodeForwarded(encodeForwarded({ body, count: 3, deadlineAtMs: NEVER_MS }, 0));
    assert.deepEqual([decoded.count, decoded.body.byteOffset % 8], [3, 0]);
    assert.deepEqual(new Uint8Array(decoded.body), new Uint8Array(body));
  });

  it("are not held beside the request that they were copied into", async () => {
    const sink = new ByteSink();
    appendEntry(sink, COMMAND.noop, new Uint8Array(100_000));
    const body = sink.copy();
    const network = { request: () => new Promise<PeerAnswer>(() => {}) };
    const modules = { network, scheduler: SYSTEM_SCHEDULER };
    const forwarder = new WriteForwarder({ ...FORWARD_DEFAULTS, timeoutMs: 100 }, modules);
    forwarder.forward("leader", { body, count: 1, deadlineAtMs: NEVER_MS }, () => {});
    assert.equal(body.length, 0);
  });

  it("bytes that are not that many entries are refused: from a reader thread they would stop the process", () => {
    const good = encodeForwarded({ ...asked(3), count: 3 }, 0);
    const wrongCount = encodeForwarded({ ...asked(3), count: 2 }, 0);
    const zero = encodeForwarded({ ...asked(0), count: 0 }, 0);
    const version = good.slice();
    version[0] = 9;
    for (const bytes of [good.slice(0, 15), good.slice(0, -8), wrongCount, zero, version])
      assert.throws(() => decodeForwarded(bytes), {
        code: "invalid_argument",
        reason: "bad_forward",
        sent: "no",
      });
  });
});

describe("the time that is left", () => {
  const NOW_MS = 2 ** 32 + 700;

  it("travels with the entries, and the clock that it is of", () => {
    const decoded = decodeForwarded(encodeForwarded(asked(1, NOW_MS + 249.5), NOW_MS));
    assert.deepEqual([decoded.budgetMs, decoded.sentAtMs], [250, 700]);
    const always = decodeForwarded(encodeForwarded(asked(1), NOW_MS));
    assert.equal(always.budgetMs, Number.POSITIVE_INFINITY);
  });

  it("bounds the wait for the leader; what had not left this node by then did not happen", async () => {
    const deadlineAtMs = SYSTEM_SCHEDULER.monotonicMs() + 40;
    for (const [sent, expected] of [
      ["no", ["deadline_exceeded", "not_proposed", "no"]],
      ["maybe", ["unavailable", "outcome_unknown", "maybe"]],
    ] as const) {
      const waits: number[] = [];
      const cause = new HearthError("deadline_exceeded", "not answered", { sent });
      const forwarder = new WriteForwarder(
        { ...FORWARD_DEFAULTS, timeoutMs: 10_000 },
        {
          network: {
            request: async (_target, _call, _body, { timeoutMs }) => {
              waits.push(timeoutMs);
              return { ok: false, error: cause };
            },
          },
          scheduler: SYSTEM_SCHEDULER,
        },
      );
      const result = await new Promise<ProposalResult>((resolve) =>
        forwarder.forward("leader", asked(1, deadlineAtMs), resolve),
      );
      const error = failureOf(result);
      assert.deepEqual([error.code, error.reason, error.sent], expected);
      assert.ok((waits[0] as number) <= 40, `waits for ${waits[0]} ms`);
    }
  });
});

describe("the way back", () => {
  const outcome: ProposalResult = {
    ok: true,
    firstIndex: 2 ** 40,
    term: 7,
    outcomes: new Uint8Array([0, 2, 1]),
    rejections: new Map([[1, "unknown_command"]]),
  };

  it("outcomes and rejections", async () => {
    const body = encodeOutcome(outcome);
    const result = await forward(async () => ({ ok: true, body }))(3);
    assert.deepEqual(result, outcome);
  });

  it("a refusal of the leader keeps its promise that nothing was logged, and its hint", async () => {
    const refusal = new HearthError("unavailable", "does not lead", {
      reason: "not_leader",
      sent: "no",
      leader: { id: "c", address: "c:9099" },
      retryAfterMs: 100,
    });
    const body = encodeOutcome({ ok: false, error: refusal });
    const error = failureOf(await forward(async () => ({ ok: true, body }))(1));
    assert.deepEqual(
      [error.code, error.reason, error.sent, error.leader, error.retryAfterMs],
      ["unavailable", "not_leader", "no", { id: "c", address: "c:9099" }, 100],
    );
  });

  it("no answer: certain only when nothing left this node", async () => {
    for (const [sent, expected, reason] of [
      ["no", "no", "leader_unreachable"],
      ["maybe", "maybe", "outcome_unknown"],
      ["yes", "maybe", "outcome_unknown"],
    ] as const) {
      const cause = new HearthError("unavailable", "cut", { sent });
      const error = failureOf(await forward(async () => ({ ok: false, error: cause }))(1));
      assert.deepEqual([error.code, error.sent, error.reason], ["unavailable", expected, reason]);
    }
  });

  it("an answer that makes no sense leaves the outcome unknown", async () => {
    const good = encodeOutcome(outcome);
    for (const body of [new Uint8Array(3), good.slice(0, 26), good.slice(0, -1), good]) {
      const error = failureOf(await forward(async () => ({ ok: true, body }))(2));
      assert.deepEqual([error.reason, error.sent], ["outcome_unknown", "maybe"]);
    }
    assert.throws(() => decodeOutcome(new Uint8Array(0), 1), { reason: "bad_forward" });
  });
});

describe("a leader that leads no more", () => {
  it("is waited for a moment, and no longer", async () => {
    const aborted: string[] = [];
    const forwarder = new WriteForwarder(
      { ...FORWARD_DEFAULTS, timeoutMs: 10_000, formerLeaderMs: 20 },
      {
        scheduler: SYSTEM_SCHEDULER,
        network: {
          request: (target, _call, _body, { signal }) =>
            new Promise((resolve) => {
              signal?.addEventListener("abort", () => {
                aborted.push(JSON.stringify(target));
                const error = new HearthError("unavailable", "given up", { sent: "maybe" });
                resolve({ ok: false, error });
              });
            }),
        },
      },
    );
    const entry = asked(1);
    const lost = new Promise<ProposalResult>((resolve) => forwarder.forward("a", entry, resolve));
    forwarder.leaderChanged("");
    forwarder.leaderChanged("b");
    forwarder.forward("b", entry, () => {});
    assert.deepEqual(failureOf(await lost).sent, "maybe");
    assert.deepEqual([aborted, forwarder.pendingCount], [['{"nodeId":"a"}'], 1]);
  });
});

describe("bounds", () => {
  it("over the bytes or the count writes are refused, one always passes", async () => {
    const never = forward(() => new Promise(() => {}), { pendingMaxBytes: 10 });
    void never(1);
    const error = failureOf(await never(1));
    assert.deepEqual(
      [error.code, error.reason, error.sent],
      ["resource_exhausted", "forward_backlog", "no"],
    );
    const full = new HearthError("resource_exhausted", "as much waits as may", { sent: "no" });
    const behind = failureOf(await forward(async () => ({ ok: false, error: full }))(1));
    assert.deepEqual([behind.code, behind.reason], ["resource_exhausted", "forward_backlog"]);
    const counted = forward(() => new Promise(() => {}), { pendingMaxCount: 1 });
    void counted(1);
    assert.equal(failureOf(await counted(1)).reason, "forward_backlog");
  });
});
