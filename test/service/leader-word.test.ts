/** Who leads, as clients are told. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LeaderNotice } from "../../src/protocol/index.ts";
import type { MembershipAt } from "../../src/raft/index.ts";
import { LeaderWord } from "../../src/service/index.ts";

const MEMBERSHIP = {
  index: 1,
  membership: {
    members: ["a", "b"].map((name) => ({
      id: `id-of-${name}`,
      serverId: name,
      address: `${name}:9099`,
    })),
  },
} as unknown as MembershipAt;

/** A member of a and b, what it knows of their addresses, and what clients were told. */
function setUp(addresses: ReadonlyMap<string, string>): {
  readonly word: LeaderWord;
  readonly told: (LeaderNotice | null)[];
} {
  const word = new LeaderWord({ hint: ({ id }) => ({ id, address: addresses.get(id) ?? "" }) });
  const told: (LeaderNotice | null)[] = [];
  word.listen((leader) => told.push(leader));
  return { word, told };
}

const led = (leader: string, term: number) => ({ leader, term, membership: MEMBERSHIP });

describe("the word on who leads", () => {
  it("names id, client address and term, once per change", () => {
    const { word, told } = setUp(
      new Map([
        ["a", "a:4041"],
        ["b", "b:4041"],
      ]),
    );
    word.changed(led("id-of-a", 3));
    word.changed(led("id-of-a", 3));
    word.changed(led("", 4));
    word.changed(led("id-of-b", 4));
    assert.deepEqual(told, [
      null,
      { id: "a", address: "a:4041", term: 3 },
      null,
      { id: "b", address: "b:4041", term: 4 },
    ]);
  });

  it("waits for an address, and follows it", () => {
    const addresses = new Map<string, string>();
    const { word, told } = setUp(addresses);
    word.changed(led("id-of-a", 3));
    assert.deepEqual(told, [null], "an address that is not known is no hint");
    addresses.set("a", "a:4041");
    word.check();
    addresses.set("a", "elsewhere:4041");
    word.check();
    assert.deepEqual(told.slice(1), [
      { id: "a", address: "a:4041", term: 3 },
      { id: "a", address: "elsewhere:4041", term: 3 },
    ]);
  });

  it("says nothing of who is no member, or of an address that no client could read", () => {
    const { word, told } = setUp(new Map([["a", `${"x".repeat(256)}:4041`]]));
    word.changed(led("id-of-c", 3));
    word.changed(led("id-of-a", 3));
    assert.deepEqual(told, [null]);
  });

  it("is heard by who listens later", () => {
    const { word } = setUp(new Map([["a", "a:4041"]]));
    word.changed(led("id-of-a", 3));
    const told: (LeaderNotice | null)[] = [];
    word.listen((leader) => told.push(leader));
    assert.deepEqual(told, [{ id: "a", address: "a:4041", term: 3 }]);
  });
});
