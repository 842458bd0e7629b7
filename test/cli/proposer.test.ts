/** What readers are told while the members have no leader; writes for which nobody waits any more. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError } from "../../src/base/index.ts";
import { type ProposerReplica, ReplicaProposer } from "../../src/cli/server/proposer.ts";
import { METRIC_CATALOG, MetricRegistry } from "../../src/metrics/index.ts";
import type { ReadIndexDone, ReplicaStatus } from "../../src/replica/index.ts";
import { AddressBook, type ProposalResult, type ReadIndexResult } from "../../src/service/index.ts";

/** Longer than any test: what is answered at all was not answered because this was over. */
const FOR_EVER_MS = 3_600_000;

interface Bench {
  readonly replica: { leader: string };
  readonly asked: ReadIndexDone[];
  readonly proposer: ReplicaProposer;
  read(): Promise<ReadIndexResult>;
  /** What the metric says that counts questions without an answer in time. */
  timeouts(): Promise<string>;
}

function bench(readTimeoutMs: number): Bench {
  const asked: ReadIndexDone[] = [];
  const replica = {
    leader: "",
    term: 7,
    propose: () => assert.fail("nothing is proposed"),
    campaign: () => assert.fail("nobody campaigns"),
    readIndex: (done: ReadIndexDone) => void asked.push(done),
    status: () => {
      const leader = replica.leader === "" ? null : { id: replica.leader, address: "peer:9099" };
      return { leader } as ReplicaStatus;
    },
  };
  const self = { serverId: "node-0", addresses: { peer: "", http: "", websocket: "" } };
  const book = new AddressBook({ self: () => self as never, peers: () => [] });
  const forwarder = { forward: () => assert.fail("nothing is forwarded") };
  const metrics = new MetricRegistry({ hasDefaultMetrics: false }, { specs: METRIC_CATALOG });
  const proposer = new ReplicaProposer(
    { readTimeoutMs },
    {
      replica: replica as ProposerReplica,
      metrics,
      forwarder,
      book,
      nodeId: "0123456789abcdef",
    },
  );
  const read = (): Promise<ReadIndexResult> =>
    new Promise((resolve) => proposer.readIndex(resolve));
  const timeouts = async (): Promise<string> => (await metrics.expose()).body;
  return { replica, asked, proposer, read, timeouts };
}

describe("a write for which nobody waits any more", () => {
  const late = () => ({
    body: new Uint8Array(8),
    count: 1,
    termAtLeast: 0,
    appendedAtMs: 0,
    deadlineAtMs: performance.now(),
  });

  it("is refused before it is proposed, and says that it did not happen", () => {
    const { proposer, replica } = bench(FOR_EVER_MS);
    const results: ProposalResult[] = [];
    // Here, on the way to another member, and from one.
    proposer.propose(late(), (result) => results.push(result));
    replica.leader = "node-1";
    proposer.propose(late(), (result) => results.push(result));
    proposer.proposeHere(late(), (result) => results.push(result));
    for (const result of results) {
      assert.ok(!result.ok);
      const { code, reason, sent } = result.error;
      assert.deepEqual([code, reason, sent], ["deadline_exceeded", "not_proposed", "no"]);
    }
    assert.equal(results.length, 3);
  });
});

describe("a read index", () => {
  it("is refused when the replica has no leader to wait for, and that counts as not answered", async () => {
    const { read, asked, timeouts } = bench(FOR_EVER_MS);
    const waiting = read();
    const error = new HearthError("unavailable", "no leader", { reason: "no_leader" });
    for (const done of asked) done({ ok: false, error });
    const result = await waiting;
    assert.ok(!result.ok);
    assert.equal(result.error.reason, "no_leader");
    assert.equal(result.error.leader, null);
    assert.match(await timeouts(), /^hearth_raft_read_wait_timeouts_total 1$/m);
  });

  it("whose replica stops is not counted so", async () => {
    const { read, asked, timeouts } = bench(FOR_EVER_MS);
    const waiting = read();
    const error = new HearthError("unavailable", "stopping", { reason: "shutting_down" });
    for (const done of asked) done({ ok: false, error });
    assert.ok(!(await waiting).ok);
    assert.doesNotMatch(await timeouts(), /^hearth_raft_read_wait_timeouts_total /m);
  });

  it("waits for a leader that is there, until its time is up", async () => {
    const { read, replica } = bench(20);
    replica.leader = "node-1";
    const result = await read();
    assert.ok(!result.ok);
    assert.equal(result.error.reason, "leader_silent");
    assert.equal(result.error.leader?.id, "node-1");
  });

  it("comes once, with what the replica says", async () => {
    const { read, asked } = bench(FOR_EVER_MS);
    const waiting = read();
    for (const done of asked) done({ ok: true, index: 12, term: 7 });
    assert.deepEqual(await waiting, { ok: true, index: 12, term: 7 });
  });
});
