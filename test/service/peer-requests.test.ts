/** What other members ask: writes that they forward, and how long those have waited on their way. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SILENT_LOGGER } from "../../src/base/index.ts";
import { type NodeIntroduction, PEER_CALL } from "../../src/cluster/index.ts";
import { appendEntry, ByteSink, COMMAND } from "../../src/protocol/index.ts";
import { encodeForwarded } from "../../src/service/cluster/forward.ts";
import { PeerRequests } from "../../src/service/cluster/peer-requests.ts";
import { TransitTimes } from "../../src/service/cluster/transit.ts";

const FOLLOWER = { clusterId: "c", serverId: "b" } as NodeIntroduction;

/** Takes forwarded writes at a time of the leader's clock; gives what is left for each of them when it is proposed. */
function leader(): (sentAtMs: number, budgetMs: number, nowMs: number) => number {
  let nowMs = 0;
  const left: number[] = [];
  const never = (): never => assert.fail("nobody asks for that");
  const requests = new PeerRequests({
    self: () => ({ clusterId: "c" }) as NodeIntroduction,
    replica: () => null,
    control: {} as never,
    join: never,
    poll: never,
    status: never,
    propose: ({ deadlineAtMs }) => void left.push(deadlineAtMs - nowMs),
    nowMs: () => nowMs,
    logger: SILENT_LOGGER,
  });
  return (sentAtMs, budgetMs, atMs) => {
    nowMs = atMs;
    const sink = new ByteSink();
    appendEntry(sink, COMMAND.noop, new Uint8Array(8));
    const entries = { body: sink.copy(), count: 1, deadlineAtMs: sentAtMs + budgetMs };
    const body = encodeForwarded(entries, sentAtMs);
    requests.handle({ call: PEER_CALL.propose, from: FOLLOWER, body }, never);
    return left.pop() as number;
  };
}

describe("a forwarded write", () => {
  it("has the time that its caller has left, less what it has waited on its way", () => {
    const take = leader();
    assert.equal(take(5_000, 300, 1_000_000), 300, "clocks are not compared, only differences");
    assert.equal(take(5_100, 300, 1_000_150), 250);
    assert.equal(take(5_200, 300, 1_000_700), -200, "nobody waits for it any more");
    assert.equal(take(5_900, 300, 1_000_900), 300);
  });

  it("of a caller that always waits is never late", () => {
    assert.equal(leader()(5_000, Number.POSITIVE_INFINITY, 99), Number.POSITIVE_INFINITY);
  });
});

describe("times on the way", () => {
  it("forget what is older than two periods: clocks drift, and machines are stopped", () => {
    const times = new TransitTimes();
    assert.equal(times.waitedMs(0, 100), 0);
    // The sender's clock has stood still for a second.
    assert.equal(times.waitedMs(1_000, 2_100), 1_000);
    assert.equal(times.waitedMs(11_000, 12_100), 1_000);
    assert.equal(times.waitedMs(22_000, 23_100), 0);
  });

  it("do not mind that clocks wrap", () => {
    const times = new TransitTimes();
    assert.equal(times.waitedMs(2 ** 32 - 10, 50), 0);
    assert.equal(times.waitedMs(5, 70), 5);
    assert.equal(times.waitedMs(20, 80), 0);
  });
});
