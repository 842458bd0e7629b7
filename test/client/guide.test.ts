/** The code of the client guide runs: every js block of docs/build/client.md, each in a process of its own. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import {
  decodePollRequest,
  decodeQueryRequest,
  encodePollReply,
  encodeTenantsReply,
  LIMITS,
  OP,
  type PollReply,
  type PollRequest,
} from "../../src/protocol/index.ts";
import { inRoot } from "../support/project.ts";
import { type FakeRequest, refusal } from "./fake-server.ts";
import { startServer, ULID_A } from "./fixture.ts";
import { labelsChunk, planChunk } from "./plan-chunks.ts";

const GUIDE = readFileSync(inRoot("docs/build/client.md"), "utf8");
const CLIENT_URL = new URL("../../src/client/index.js", import.meta.url).href;

/** As much of a server as the guide needs. */
function answer(request: FakeRequest): void {
  switch (request.opcode) {
    case OP.add_block:
      return request.answerWrite({ logIndex: 812, term: 1 });
    case OP.get_tenants: {
      const reply = { tenants: ["acme"], appliedIndex: 1 };
      return request.answer((sink) => encodeTenantsReply(sink, reply));
    }
    case OP.query_metadata:
      if (decodeQueryRequest(request.payload).selector === "{broken") {
        return request.fail(refusal("invalid_argument"));
      }
      return request.answerBytes(planChunk([ULID_A]));
    case OP.get_block_metadata:
      return request.answerBytes(planChunk([ULID_A]));
    case OP.query_metadata_labels:
      return request.answerBytes(labelsChunk(["service_name"], [["api"]]));
    case OP.poll_compaction_jobs:
      return request.answer((sink) => {
        sink.append(encodePollReply(pollReply(decodePollRequest(request.payload))));
        return sink.length;
      });
    default:
      return request.answer();
  }
}

/** A job for whoever can take one, and what is reported is taken. */
function pollReply({ capacity }: PollRequest): PollReply {
  if (capacity === 0) return { jobs: [], assignments: [] };
  const name = "1f-T-S1-L0";
  const sourceBlocks = [ULID_A];
  const job = { name, tenant: "", shard: 1, level: 0, sourceBlocks, tombstones: [] };
  return { jobs: [job], assignments: [{ name, token: 7, leaseMs: 15_000 }] };
}

/** What each block prints, in order of the guide. */
const EXPECTED: readonly RegExp[] = [
  /^\[ 'acme' \]$/,
  /^stored at log index 812$/,
  /^01ARZ3NDEKTSV4RRFFQ69G5FAV api \[ \[ \{ name: 'service_name', value: 'api' \} \] \]\n1 1 1$/,
  /^1f-T-S1-L0 0 1$/,
  /^true\ndeadline_exceeded$/,
  /^invalid_argument yes false$/,
  /^channel: connecting\nchannel: connected\nconnected\nchannel: closed$/,
  /^\d+\.\d ms$/,
];

describe("the client guide", () => {
  const blocks = [...GUIDE.matchAll(/^```js\n(.*?)^```$/gms)].map((match) => match[1] as string);

  it("has as many blocks as this test expects", () => {
    assert.equal(blocks.length, EXPECTED.length);
  });

  blocks.forEach((block, i) => {
    it(`block ${i + 1} runs and prints what it says`, async (t) => {
      const server = await startServer(t, { hello: { frameMaxBytes: LIMITS.frameMaxBytes } });
      server.script = answer;
      const code = block
        .replaceAll('"hearth/client"', JSON.stringify(CLIENT_URL))
        .replaceAll("127.0.0.1:4041", server.endpoint);
      const args = ["--input-type=module", "--eval", code];
      const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 120_000 });
      assert.match(stdout.trim(), EXPECTED[i] as RegExp);
    });
  });
});
