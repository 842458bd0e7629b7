/** A membership entry in the state machine: it takes its place in the log, and does nothing else. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMAND, COMMAND_VERSION, validateCommand } from "../../../src/protocol/index.ts";
import { encodeMembership, encodeMembershipBody } from "../../../src/raft/index.ts";
import { OUTCOME } from "../../../src/state/index.ts";
import { entry, ulidAt, WINDOW_MS, withState } from "../../state/support.ts";

const MEMBERSHIP = {
  members: [{ id: "a", serverId: "hearth-0", address: "a:1" }],
  voters: ["a"],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
};

test("a membership entry advances the applied index and changes nothing", () =>
  withState((fixture) => {
    fixture.apply([entry.addBlocks({ id: ulidAt(WINDOW_MS, 1), datasets: [{ name: "web" }] })]);
    const body = encodeMembershipBody(MEMBERSHIP);
    const place = { firstIndex: 2, term: 3, appendedAtMs: 44 };
    const batch = { ...place, count: 1, body, bodyBytes: body.length };
    const { outcomes, rejections } = fixture.state.apply([batch]);
    assert.deepEqual([...outcomes], [OUTCOME.unchanged]);
    assert.equal(rejections.size, 0);
    assert.equal(fixture.state.appliedIndex, 2);
    assert.equal(fixture.state.appliedTerm, 3);
    assert.equal(fixture.state.counters.blocks, 1);
  }));

test("clients cannot send membership entries", () => {
  const payload = encodeMembership(MEMBERSHIP);
  const failure = validateCommand(COMMAND.membership, COMMAND_VERSION, payload);
  assert.equal(failure?.reason, "unknown_command");
});
