import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ErrorCode, HearthError } from "../../src/base/index.ts";
import {
  encodeStatusText,
  type MethodKind,
  statusDetails,
  statusOf,
  statusTrailers,
  type Surroundings,
} from "../../src/grpc/status.ts";
import { parseTimeout } from "../../src/grpc/timeout.ts";

const AROUND: Surroundings = {
  selfId: "node-0",
  leader: { id: "node-1", address: "127.0.0.1:9100" },
  addresses: { "node-0": "127.0.0.1:9099", "node-1": "127.0.0.1:9100" },
};
const LEADERLESS: Surroundings = { selfId: "node-0", leader: null, addresses: {} };

function error(code: ErrorCode, reason: string, leader?: string): HearthError {
  const hint = leader === undefined ? {} : { leader: { id: leader, address: "elsewhere:4041" } };
  return new HearthError(code, "text", { reason, ...hint });
}

describe("status", () => {
  it("the leader hint is that of the contract, byte for byte", () => {
    const status = {
      code: 14,
      message: "node is not the leader",
      leader: { id: "node-1", address: "127.0.0.1:9100" },
    };
    const expected =
      "CA4SFm5vZGUgaXMgbm90IHRoZSBsZWFkZXIaQgomdHlwZS5nb29nbGVhcGlzLmNvbS9yYWZ0X25vZGUuUmFmdE5vZGUSGAoGbm9kZS0xEg4xMjcuMC4wLjE6OTEwMA==";
    assert.equal(statusDetails(status), expected);
    assert.deepEqual(statusTrailers(status), {
      "grpc-status": "14",
      "grpc-message": "node is not the leader",
      "grpc-status-details-bin": expected,
    });
  });

  it("names the leader by its peer address, and nobody when none is known", () => {
    const refused = error("unavailable", "not_leader", "node-1");
    assert.deepEqual(statusOf(refused, "write", AROUND).leader, AROUND.leader);
    // The node knows more than the error.
    assert.deepEqual(
      statusOf(error("unavailable", "stopping"), "poll", AROUND).leader,
      AROUND.leader,
    );
    assert.equal(statusOf(error("unavailable", "no_leader"), "write", LEADERLESS).leader, null);
    const trailers = statusTrailers(statusOf(error("unavailable", "x"), "write", LEADERLESS));
    assert.equal("grpc-status-details-bin" in trailers, false);
  });

  it("codes and hints are those of the table", () => {
    const table: readonly [MethodKind, ErrorCode, string, number, boolean][] = [
      // Leadership.
      ["write", "unavailable", "not_leader", 14, true],
      ["poll", "unavailable", "not_leader", 14, true],
      ["member", "unavailable", "not_leader", 14, true],
      ["readIndex", "unavailable", "not_leader", 14, true],
      ["lookUp", "unavailable", "not_leader", 14, true],
      ["write", "unavailable", "transferring", 14, true],
      ["write", "unavailable", "stopping", 14, true],
      // Reads.
      ["query", "unavailable", "no_leader", 14, false],
      ["query", "unavailable", "leader_silent", 14, false],
      ["query", "unavailable", "too_far_behind", 14, false],
      ["query", "unavailable", "not_caught_up", 14, false],
      ["query", "aborted", "state_replaced", 14, false],
      ["query", "invalid_argument", "bad_selector", 3, false],
      ["query", "internal", "internal", 13, false],
      ["query", "data_loss", "damaged_entry", 13, false],
      ["lookUp", "internal", "internal", 2, false],
      ["lookUp", "data_loss", "damaged_entry", 2, false],
      // Writes.
      ["write", "invalid_argument", "bad_block_id", 3, false],
      ["write", "internal", "log_failed", 2, false],
      ["write", "failed_precondition", "command_rejected", 2, false],
      ["write", "cancelled", "cancelled", 1, false],
      ["write", "resource_exhausted", "message_too_large", 8, false],
      ["poll", "failed_precondition", "plan_outdated", 9, false],
      ["poll", "internal", "internal", 2, false],
      // Members.
      ["member", "invalid_argument", "stale_term", 3, false],
      ["member", "unknown", "no_successor", 2, false],
      ["health", "not_found", "unknown_service", 5, false],
    ];
    for (const [kind, code, reason, number, hasHint] of table) {
      const status = statusOf(error(code, reason, "node-1"), kind, AROUND);
      assert.equal(status.code, number, `${kind} ${reason}`);
      assert.equal(status.leader !== null, hasHint, `${kind} ${reason}`);
    }
  });

  it("a read index that the leader itself does not get in time has run out of time", () => {
    const silent = error("unavailable", "leader_silent", "node-0");
    assert.deepEqual(statusOf(silent, "readIndex", AROUND), {
      code: 4,
      message: "text",
      leader: null,
    });
    // On another node it is the leader that does not answer.
    assert.equal(
      statusOf(error("unavailable", "leader_silent", "node-1"), "readIndex", AROUND).code,
      14,
    );
  });

  it("texts travel in percent where they are not plain", () => {
    assert.equal(encodeStatusText("plain text, 100 ok"), "plain text, 100 ok");
    assert.equal(encodeStatusText("100 %"), "100 %25");
    assert.equal(encodeStatusText("é\n"), "%C3%A9%0A");
    assert.equal(encodeStatusText(" a b "), "%20a b%20");
    assert.equal(encodeStatusText("no detail: "), "no detail:%20");
    assert.equal(encodeStatusText(""), "");
  });
});

describe("grpc-timeout", () => {
  it("has units from hours to nanoseconds", () => {
    const cases: readonly [string | undefined, number | null][] = [
      [undefined, null],
      ["1H", 3_600_000],
      ["2M", 120_000],
      ["20S", 20_000],
      ["100m", 100],
      ["5000u", 5],
      ["1000000n", 1],
      ["99999999S", 99_999_999_000],
    ];
    for (const [header, expected] of cases) assert.equal(parseTimeout(header), expected, header);
  });

  it("is refused when it is none", () => {
    for (const header of ["", "S", "20", "-1S", "1.5S", "999999999S", "1x", "1 S"])
      assert.ok(Number.isNaN(parseTimeout(header)), header);
  });
});
