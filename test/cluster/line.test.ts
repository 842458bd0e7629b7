/** The connection of a reader thread to another node: there or not there, and nobody waits for it. */

import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import { nextTurn, Prng, SILENT_LOGGER, SYSTEM_SCHEDULER } from "../../src/base/index.ts";
import {
  type LineOptions,
  type LineTarget,
  PEER_CALL,
  PEER_LIMITS,
  type PeerAnswer,
  PeerLine,
} from "../../src/cluster/index.ts";
import { untilTrue } from "../support/until.ts";
import {
  CODEC,
  introductionOf,
  joinMesh,
  NodeSockets,
  QUICK,
  startMesh,
  TestNode,
} from "./support.ts";

const BODY = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
/** A dial that failed is not repeated at once; the clock of a test skips the pause. */
const PAUSE_MS = 2_000;

let node: TestNode;
let lines: OwnLine[] = [];

class CountedSockets extends NodeSockets {
  dials = 0;

  override connect(target: Parameters<NodeSockets["connect"]>[0]): Socket {
    this.dials += 1;
    return super.connect(target);
  }
}

/** A line of a process with the node id given, whose clock can be moved on. */
class OwnLine {
  readonly sockets = new CountedSockets();
  readonly line: PeerLine;
  readonly #introduction;
  #skippedMs = 0;

  constructor(nodeId: string, options: Partial<LineOptions> = {}) {
    this.#introduction = introductionOf(nodeId);
    const prng = new Prng(1);
    this.line = new PeerLine(
      { ...QUICK, ...options },
      {
        codec: CODEC,
        scheduler: {
          ...SYSTEM_SCHEDULER,
          monotonicMs: () => SYSTEM_SCHEDULER.monotonicMs() + this.#skippedMs,
        },
        random: () => prng.nextU32(),
        logger: SILENT_LOGGER,
        sockets: this.sockets,
      },
    );
    lines.push(this);
  }

  skipPause(): void {
    this.#skippedMs += PAUSE_MS;
  }

  setTarget(target: TestNode, more: Partial<LineTarget> = {}): void {
    const introduction = this.#introduction;
    const { id: nodeId, address } = target;
    this.line.setTarget({ nodeId, addresses: [address], introduction, ...more });
  }

  /** Null: there was no connection. */
  ask(timeoutMs = 60_000): Promise<PeerAnswer> | null {
    let resolve!: (answer: PeerAnswer) => void;
    const answered = new Promise<PeerAnswer>((done) => {
      resolve = done;
    });
    return this.line.tryAsk(PEER_CALL.readIndex, BODY, timeoutMs, resolve) ? answered : null;
  }

  static async connected(nodeId: string, target: TestNode): Promise<OwnLine> {
    const own = new OwnLine(nodeId);
    own.setTarget(target);
    await own.connect();
    return own;
  }

  async connect(): Promise<void> {
    assert.equal(this.ask(), null, "the first one finds no connection");
    await untilTrue(() => this.line.isConnected);
  }
}

describe("a line", () => {
  beforeEach(async () => {
    node = await TestNode.start("a");
  });

  afterEach(async () => {
    for (const { line } of lines) line.close();
    lines = [];
    await node.network.close();
  });

  it("is made when somebody asks, and carries questions and answers", async () => {
    const own = new OwnLine("b");
    assert.equal(own.ask(), null, "nobody is to be asked");
    own.setTarget(node);
    assert.equal(own.sockets.dials, 0);
    await own.connect();
    assert.deepEqual(await own.ask(), { ok: true, body: BODY });
    const [request] = node.requests;
    assert.deepEqual([request?.call, request?.from.nodeId], [PEER_CALL.readIndex, "b"]);
  });

  it("tries the next address where one does not answer, after a pause", async () => {
    const own = new OwnLine("b");
    own.setTarget(node, { addresses: ["127.0.0.1:1", node.address] });
    assert.equal(own.ask(), null);
    await untilTrue(() => own.sockets.dials === 1 && own.sockets.openCount === 0);
    assert.equal(own.ask(), null);
    await nextTurn(SYSTEM_SCHEDULER);
    assert.equal(own.sockets.dials, 1, "not at once");
    own.skipPause();
    await own.connect();
    assert.equal(own.sockets.dials, 2);
  });

  it("is not made to another node than the one that is meant", async () => {
    const own = new OwnLine("b");
    own.setTarget(node, { nodeId: "c" });
    assert.equal(own.ask(), null);
    await untilTrue(() => node.network.stats.refused.wrong_target === 1);
    assert.equal(own.line.isConnected, false);
  });

  it("tells at once that it broke, and is made anew after a pause", async () => {
    const own = await OwnLine.connected("b", node);
    node.onRequest = () => {};
    const answer = own.ask();
    await untilTrue(() => node.requests.length === 1);
    node.sockets.cut();
    const broken = await answer;
    assert.ok(broken !== null && !broken.ok);
    assert.deepEqual([broken.error.code, broken.error.sent], ["unavailable", "maybe"]);
    node.sockets.mend();
    assert.equal(own.ask(), null);
    await nextTurn(SYSTEM_SCHEDULER);
    assert.equal(own.sockets.dials, 1, "not at once");
    own.skipPause();
    await own.connect();
  });

  it("fails what another node was asked", async () => {
    const own = await OwnLine.connected("b", node);
    node.onRequest = () => {};
    const answer = own.ask();
    own.setTarget(node);
    assert.equal(own.line.isConnected, true, "the same target changes nothing");
    own.line.setTarget(null);
    assert.equal((await answer)?.ok, false);
    assert.equal(own.ask(), null);
    await untilTrue(() => own.sockets.openCount === 0);
  });

  it("ends a question that is not answered in time", async () => {
    const own = await OwnLine.connected("b", node);
    node.onRequest = () => {};
    const answer = await own.ask(20);
    assert.equal(answer?.ok === false && answer.error.reason, "peer_timeout");
  });

  it("goes when nobody asks any more", async () => {
    const own = new OwnLine("b", { idleMs: 40 });
    own.setTarget(node);
    await own.connect();
    await untilTrue(() => !own.line.isConnected && own.sockets.openCount === 0);
  });

  it("dials no more when it is closed, and may be closed twice", async () => {
    const own = await OwnLine.connected("b", node);
    own.line.close();
    own.line.close();
    await untilTrue(() => own.sockets.openCount === 0);
    own.setTarget(node);
    own.skipPause();
    assert.equal(own.ask(), null);
    await nextTurn(SYSTEM_SCHEDULER);
    assert.equal(own.sockets.dials, 1);
  });

  it("of a member finds a place beside those of guests, up to a bound of its own", async () => {
    const [a, b] = (await startMesh(["a", "b"])) as [TestNode, TestNode];
    await joinMesh([a, b]);
    const { memberCallsMax } = PEER_LIMITS;
    const own: OwnLine[] = [];
    while (own.length < memberCallsMax) {
      const group = Array.from({ length: PEER_LIMITS.handshakesMax / 2 }, () =>
        OwnLine.connected("b", a),
      );
      own.push(...(await Promise.all(group)));
    }
    const late = new OwnLine("b");
    late.setTarget(a);
    assert.equal(late.ask(), null);
    await untilTrue(() => a.network.stats.refused.too_many_connections === 1);
    await OwnLine.connected("guest", a);
    await Promise.all([a.network.close(), b.network.close()]);
  });
});
