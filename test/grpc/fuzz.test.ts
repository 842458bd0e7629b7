/**
 * Hostile requests to every service, given to the methods of the contract over real services, engine and state machine.
 * The promise: whatever the bytes, one outcome with a code of the table; nothing thrown that is no refusal, nothing
 * proposed that was refused, and a state that verifies.
 *
 * HEARTH_GRPC_FUZZ_REQUESTS and HEARTH_FUZZ_SEED extend or repeat a run; a failure prints its seed.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type HearthError, isHearthError, Prng, SILENT_LOGGER } from "../../src/base/index.ts";
import { GRPC_DEFAULTS, GrpcEdge, type Method, type MethodCall } from "../../src/grpc/index.ts";
import { HealthService } from "../../src/grpc/health.ts";
import { createMethods } from "../../src/grpc/methods.ts";
import { statusOf, type Surroundings } from "../../src/grpc/status.ts";
import { ByteSink, encodeBlockMetaProto, encodePollReply } from "../../src/protocol/index.ts";
import { SharedState } from "../../src/read/index.ts";
import { ReadService, WriteService } from "../../src/service/index.ts";
import { SERVER_DEFAULTS } from "../../src/server/index.ts";
import { realBlocks } from "../protocol/support.ts";
import { FakeMain, nextTurn } from "../server/support.ts";
import { type Engine, openEngine } from "../support/engine.ts";
import { callRaw, framed, openRaw } from "../support/grpc/raw.ts";
import {
  decodeMessage,
  encodeMessage,
  type Message,
  methodSchemas,
} from "../support/grpc/schema.ts";
import { findFreePorts } from "../support/ports.ts";

const REQUESTS = Number(process.env.HEARTH_GRPC_FUZZ_REQUESTS ?? 200_000);
const SEED = Number(process.env.HEARTH_FUZZ_SEED ?? 20_261_129);
/** Of a service, over a connection. */
const SOCKET_REQUESTS = 200;
/** A turn of the event loop now and then: writes are handed over at its end. */
const TURN = 500;

const CODES: ReadonlySet<number> = new Set([0, 1, 2, 3, 5, 8, 9, 12, 14]);
const AROUND: Surroundings = { selfId: "n", leader: null, addresses: {} };

const NODE = {
  serverId: "node-0",
  advertisedAddress: "",
  state: "Leader",
  leaderId: "node-0",
  commitIndex: 1,
  appliedIndex: 1,
  lastIndex: 1,
  stats: [],
  peers: [],
  configurationIndex: 1,
  currentTerm: 1,
  buildVersion: "",
  buildRevision: "",
};

/** Main that applies what it is given, so that the state shows what was accepted. */
class ApplyingMain extends FakeMain {
  proposed = 0;

  override pollCompaction(
    payload: Uint8Array,
    waitMs: number,
    done?: (result: { ok: true; reply: Uint8Array }) => void,
  ): () => void {
    assert.ok(payload.length > 0 && waitMs === 0);
    done?.({ ok: true, reply: encodePollReply({ jobs: [], assignments: [] }) });
    return () => {};
  }

  applyTo({ state }: Engine): void {
    for (const { proposal, done } of this.proposals.splice(0)) {
      const { body, count } = proposal;
      this.proposed += count;
      const firstIndex = state.appliedIndex + 1;
      const batch = {
        firstIndex,
        term: 1,
        appendedAtMs: 1_000,
        count,
        body,
        bodyBytes: body.length,
      };
      const { outcomes, rejections } = state.apply([batch]);
      done({ ok: true, firstIndex, term: 1, outcomes, rejections });
    }
    for (const { call, done } of this.memberCalls.splice(0))
      done({ ok: true, node: call.kind === "info" ? NODE : null });
  }
}

/** A call that keeps its outcome. */
class FuzzCall implements MethodCall {
  readonly deadlineAtMs = Number.POSITIVE_INFINITY;
  isSettled = false;
  onSettled: (() => void) | undefined;
  readonly group = { cork: (body: () => void) => body() };
  error: HearthError | null = null;
  readonly #sink: ByteSink;
  #encode: ((payload: Uint8Array, sink: ByteSink) => void) | null = null;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  checkpoint(): void {}

  answersWith(encode: (payload: Uint8Array, sink: ByteSink) => void): void {
    this.#encode = encode;
  }

  end(payload: Uint8Array): void {
    this.reply((sink) => this.#encode?.(payload, sink));
  }

  reply(write: (sink: ByteSink) => void): void {
    assert.equal(this.isSettled, false, "answered twice");
    this.#sink.reset();
    write(this.#sink);
    this.isSettled = true;
  }

  fail(error: HearthError): void {
    assert.equal(this.isSettled, false, "answered twice");
    this.error = error;
    this.isSettled = true;
  }
}

/** Good requests of every method, to be damaged. */
function corpus(): Map<string, Uint8Array[]> {
  const blocks = realBlocks().map(({ meta }) =>
    decodeMessage("metastore.v1.BlockMeta", encodeBlockMetaProto(meta)),
  );
  const query = {
    tenant_id: ["anonymous"],
    start_time: "0",
    end_time: "9000000000000",
    query: '{service_name="pyroscope"}',
    labels: ["service_name", "__profile_type__"],
  };
  const [block] = blocks as [Message];
  const list = { tenant: "anonymous", shard: 1, blocks: blocks.map(({ id }) => id) };
  const compacted = { source_blocks: list, new_blocks: [block] };
  const update = { name: "job", token: "7", status: 2, compacted_blocks: compacted };
  const samples: Readonly<Record<string, readonly Message[]>> = {
    AddBlock: blocks.map((each) => ({ block: each })),
    GetBlockMetadata: [{ blocks: list }],
    PollCompactionJobs: [
      { job_capacity: 3, status_updates: [update, { name: "b", token: "1", status: 1 }] },
    ],
    QueryMetadata: [query, { ...query, query: "{}" }],
    QueryMetadataLabels: [query],
    GetTenant: [{ tenant_id: "anonymous" }],
    DeleteTenant: [{ tenant_id: "anonymous" }],
    Check: [{ service: "pyroscope.metastore" }],
  };
  const member = { server_id: "node-1:9099", current_term: "5" };
  const requests = new Map<string, Uint8Array[]>();
  for (const { path, request, isStreaming } of methodSchemas()) {
    if (isStreaming) continue;
    const name = path.split("/")[2] as string;
    const messages =
      samples[name] ?? (name.endsWith("Node") || name.endsWith("Leader") ? [member] : [{}]);
    requests.set(
      path,
      messages.map((message) => encodeMessage(request, message)),
    );
  }
  return requests;
}

const NUMBERS = [0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x12, 0x52, 0x5a, 0x62];

/** One to four pieces of damage. */
function damaged(prng: Prng, request: Uint8Array, other: Uint8Array): Buffer {
  let bytes = Buffer.from(request);
  for (let i = 0; i <= prng.nextInt(4); i++) {
    const at = prng.nextInt(bytes.length + 1);
    switch (prng.nextInt(6)) {
      case 0:
        if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << prng.nextInt(8));
        break;
      case 1:
        if (at < bytes.length) bytes[at] = prng.pick(NUMBERS);
        break;
      case 2:
        bytes = bytes.subarray(0, at) as Buffer<ArrayBuffer>;
        break;
      case 3:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          other.subarray(prng.nextInt(other.length + 1)),
        ]);
        break;
      case 4: {
        const more = Buffer.from(
          Array.from({ length: 1 + prng.nextInt(6) }, () => prng.nextInt(256)),
        );
        bytes = Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]);
        break;
      }
      default:
        if (bytes.length > 1)
          bytes.copyWithin(at, prng.nextInt(bytes.length), prng.nextInt(bytes.length));
    }
  }
  return bytes;
}

describe(`${REQUESTS} mutated requests per service (seed ${SEED})`, { timeout: 1_800_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), "hearth-grpc-fuzz-"));
  const main = new ApplyingMain();
  const shared = SharedState.create();
  const requests = corpus();
  let engine: Engine;
  let methods: Method[];

  const { stackTraceLimit } = Error;

  before(() => {
    // Nobody looks at the stacks of a million refusals, which cost more than everything else.
    Error.stackTraceLimit = 0;
    engine = openEngine(directory);
    const reads = new ReadService(SERVER_DEFAULTS, {
      transactions: engine.db,
      appliedIndex: () => engine.queries.appliedIndex(),
      progress: shared,
      rounds: main,
      logger: SILENT_LOGGER,
    });
    const writes = new WriteService({ ...SERVER_DEFAULTS, writeBatchMaxBytes: 1 << 20 }, { main });
    const services = { engine: engine.queries, reads, writes, main, logger: SILENT_LOGGER };
    const health = new HealthService();
    health.set("serving");
    const modules = { services, sendMaxBytes: 1 << 26, nowMs: () => 1_700_000_000_000 };
    methods = [...createMethods(modules), ...health.methods()];
    publish();
  });

  after(async () => {
    Error.stackTraceLimit = stackTraceLimit;
    await engine.db.close();
    rmSync(directory, { recursive: true, force: true });
  });

  function publish(): void {
    const { appliedIndex } = engine.state;
    shared.publish({
      term: 1,
      commitIndex: appliedIndex,
      appliedIndex,
      isLeader: true,
      canGrantReads: true,
    });
  }

  /** Ends the turn: reads close their transaction, then main applies what was accepted. */
  async function settle(): Promise<void> {
    await nextTurn();
    await nextTurn();
    main.applyTo(engine);
    publish();
  }

  // The index last: what it accepts would make the queries of the others slow.
  const isLast = (path: string): number => Number(path.includes("IndexService"));
  const paths = [...requests.keys()].sort((a, b) => isLast(a) - isLast(b));
  const services = new Set(paths.map((path) => path.split("/")[1] as string));
  for (const service of services) {
    it(service, async () => {
      const own = methods.filter(({ path }) => path.startsWith(`/${service}/`));
      const prng = new Prng(SEED, service.length);
      const sink = new ByteSink();
      const counts = new Map<number, number>();
      let calls: { call: FuzzCall; method: Method }[] = [];
      let accepted = 0;
      const judge = async (): Promise<void> => {
        await settle();
        for (const { call, method } of calls) {
          assert.ok(call.isSettled, `${method.path} was never answered`);
          const code = call.error === null ? 0 : statusOf(call.error, method.kind, AROUND).code;
          const text = call.error === null ? "" : `${call.error.reason}: ${call.error.message}`;
          assert.ok(CODES.has(code) && call.error?.code !== "internal", `${method.path} ${text}`);
          counts.set(code, (counts.get(code) ?? 0) + 1);
          // What the state refused was proposed all the same.
          const isTaken = code === 0 || call.error?.sent === "yes";
          if (isTaken && method.kind === "write") accepted++;
        }
        calls = [];
        assert.equal(main.proposed, accepted + proposedBefore, "something refused was proposed");
      };
      const proposedBefore = main.proposed;
      for (let i = 0; i < REQUESTS; i++) {
        const method = prng.pick(own);
        const call = new FuzzCall(sink);
        const samples = requests.get(method.path) as Uint8Array[];
        const other = (requests.get(prng.pick(own).path) as Uint8Array[])[0] as Uint8Array;
        try {
          method.handle(damaged(prng, prng.pick(samples), other), call);
        } catch (error) {
          assert.ok(isHearthError(error), `request ${i} of ${method.path}: ${String(error)}`);
          call.fail(error);
        }
        calls.push({ call, method });
        if (calls.length === TURN) await judge();
      }
      await judge();
      assert.ok((counts.get(3) ?? 0) > REQUESTS / 100, "hardly anything was refused");
    });
  }

  it("over a connection, which lives on", async () => {
    const [port = 0] = await findFreePorts(1);
    const edge = new GrpcEdge(
      { ...GRPC_DEFAULTS, port },
      { methods, mayListen: true, logger: SILENT_LOGGER },
    );
    await edge.listen();
    const session = await openRaw(`127.0.0.1:${port}`);
    const prng = new Prng(SEED, 99);
    const paths = [...requests.keys()];
    for (let i = 0; i < SOCKET_REQUESTS * services.size; i++) {
      const path = prng.pick(paths);
      const samples = requests.get(path) as Uint8Array[];
      const message = damaged(prng, prng.pick(samples), samples[0] as Uint8Array);
      const body = prng.nextChance(0.8) ? framed(message) : damaged(prng, framed(message), message);
      const answer = callRaw(session, path, body);
      await settle();
      const { trailers } = await pumped(answer, settle);
      assert.ok(CODES.has(Number(trailers["grpc-status"])), `${path}: ${JSON.stringify(trailers)}`);
    }
    session.destroy();
    edge.closeConnections();
    edge.close();
  });
});

/** Waits with main at work: what was handed over is answered from there. */
async function pumped<T>(answer: Promise<T>, pump: () => Promise<void>): Promise<T> {
  let isDone = false;
  const done = (): void => {
    isDone = true;
  };
  answer.then(done, done);
  while (!isDone) await pump();
  return answer;
}
