/**
 * Many calls against a server that answers, refuses, stays silent, dawdles and dies as a seed decides: every call ends,
 * its error is ours or the reason of the abort, and nothing is held afterwards.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { collectBlocks, type HearthClient, isHearthError } from "../../src/client/index.ts";
import { FLAG, OP } from "../../src/protocol/index.ts";
import { withMoreTime } from "../support/more-time.ts";
import { type FakeRequest, type FakeServer, refusal } from "./fake-server.ts";
import { EVERYTHING, startPair, ULID_A } from "./fixture.ts";
import { planChunk } from "./plan-chunks.ts";

const CALLS = 600;
const CALLERS = 20;

/** Numbers in [0, limit), the same for the same seed. */
function createRandom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

function misbehave(server: FakeServer, random: (limit: number) => number): void {
  const chunk = planChunk([ULID_A]);
  const finish = (request: FakeRequest): void => {
    if (request.socket.readyState !== request.socket.OPEN) return;
    if (request.opcode === OP.query_metadata) {
      for (let i = random(5); i > 0; i--) request.answerBytes(chunk, 0);
      request.answerBytes(chunk, FLAG.last);
    } else {
      request.answerWrite({ logIndex: 1, term: 1 });
    }
  };
  server.script = (request) => {
    if (request.opcode === OP.cancel || request.opcode === OP.credit) return;
    const dice = random(100);
    if (dice < 60) finish(request);
    else if (dice < 75) setTimeout(() => finish(request), random(20));
    else if (dice < 85) request.fail(refusal("unavailable"));
    else if (dice < 92) request.fail(refusal("resource_exhausted"));
    else if (dice < 97) return;
    else server.kill();
  };
}

async function callOnce(
  client: HearthClient,
  random: (limit: number) => number,
  leastMs: number,
): Promise<string> {
  const controller = new AbortController();
  const reason = { aborted: true };
  if (random(5) === 0) setTimeout(() => controller.abort(reason), random(15));
  const options = { signal: controller.signal, timeoutMs: leastMs + random(5 * leastMs) };
  try {
    const dice = random(4);
    if (dice === 0) await client.rawCommand(new Uint8Array(16), options);
    else if (dice === 1) await client.addBlock(new Uint8Array(random(2_000)), options);
    else if (dice === 2) await collectBlocks(client.queryMetadata(EVERYTHING, options));
    else for await (const _ of client.queryMetadata(EVERYTHING, options)) break;
    return "ok";
  } catch (error) {
    if (error === reason) return "aborted";
    assert.ok(isHearthError(error), String(error));
    if (error.code === "internal") throw error;
    return error.code;
  }
}

describe("soak", () => {
  for (const seed of [1, 2, 3]) {
    it(`seed ${seed}: every call ends and nothing is left`, (t) =>
      withMoreTime(20, async (leastMs) => {
        const random = createRandom(seed);
        const { server, client } = await startPair(t, {
          maxInFlight: CALLERS,
          maxBufferedBytes: 2 ** 23,
        });
        misbehave(server, random);
        const results = new Map<string, number>();
        let left = CALLS;
        const caller = async (): Promise<void> => {
          while (left-- > 0) {
            const result = await callOnce(client, random, leastMs);
            results.set(result, (results.get(result) ?? 0) + 1);
          }
        };
        await Promise.all(Array.from({ length: CALLERS }, caller));
        t.diagnostic(JSON.stringify(Object.fromEntries(results)));
        // Every place is free again: drain() has nothing to wait for.
        await client.drain();
        // A machine on which calls take longer than they may does not try what this is about.
        assert.ok((results.get("ok") ?? 0) > CALLS / 10);
      }));
  }
});
