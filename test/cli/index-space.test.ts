/** Room on the disk of the index: what counts as little, and what a member does about it. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Logger } from "../../src/base/index.ts";
import { IndexSpace, type Volume } from "../../src/cli/server/index-space.ts";
import { followIndexSpace } from "../../src/cli/server/space-watch.ts";
import type { ChangeResult, ClusterView } from "../../src/service/index.ts";
import { recordingLogger } from "../snapshot/support/harness.ts";

const GIB = 1024 ** 3;
const DIRECTORY = "/data/index";

async function problemsOf(volumes: readonly (Volume | null)[], freeMinBytes = GIB) {
  const left = [...volumes];
  const space = new IndexSpace({ directory: DIRECTORY, freeMinBytes }, async () => {
    const volume = left.shift();
    if (volume == null) throw new Error("ENOENT");
    return volume;
  });
  const problems: (string | null)[] = [];
  for (let i = 0; i < volumes.length; i++) {
    await space.look();
    problems.push(space.problem);
  }
  return problems;
}

describe("room for the index", () => {
  it("is little below the bound, and enough again somewhat above it", async () => {
    const free = [1.1, 0.9, 1.1, 1.3, 1.1].map((gib) => ({
      freeBytes: gib * GIB,
      sizeBytes: 100 * GIB,
    }));
    const problems = await problemsOf(free);
    assert.deepEqual(
      problems.map((problem) => problem !== null),
      [false, true, true, false, false],
    );
    assert.match(problems[1] ?? "", /^922 MiB free on the disk of \/data\/index, below 1 GiB$/);
  });

  it("on a small disk is a part of it, and never little without a bound", async () => {
    const half = { freeBytes: GIB / 2, sizeBytes: 4 * GIB };
    const tenth = { freeBytes: GIB / 10, sizeBytes: 4 * GIB };
    assert.deepEqual(
      (await problemsOf([half, tenth])).map((problem) => problem !== null),
      [false, true],
    );
    assert.deepEqual(await problemsOf([{ ...half, freeBytes: 0 }], 0), [null]);
  });

  it("is not known where the system does not say", async () => {
    const full = { freeBytes: 0, sizeBytes: GIB };
    const problems = await problemsOf([full, null, full]);
    assert.deepEqual(
      problems.map((problem) => problem !== null),
      [true, false, true],
    );
  });

  it("is that of the disk under the directory", async () => {
    const directory = mkdtempSync(join(tmpdir(), "hearth-space-"));
    const { blocks, bsize } = statfsSync(directory);
    const space = new IndexSpace({ directory, freeMinBytes: GIB });
    await space.look();
    assert.ok(space.freeBytes !== null && space.freeBytes <= blocks * bsize);
    rmSync(directory, { recursive: true });
  });
});

interface Situation {
  readonly isServing?: boolean;
  readonly voters?: number;
}

/** The watch over a space that a test sets; `look` is the next one, with what follows it. */
function watched({ isServing = true, voters = 3 }: Situation = {}) {
  const space = { problem: null as string | null, look: async () => {} };
  const logger: Logger & { readonly lines: readonly { readonly level: string }[] } =
    recordingLogger();
  let moves = 0;
  let due: (() => void) | null = null;
  const member = { isSelf: false, suffrage: "voter", isConnected: true };
  const end = followIndexSpace(space, {
    replica: { isServing },
    control: {
      view: () => ({ voters, members: [member], leader: null }) as unknown as ClusterView,
      transferLeadership: async () => {
        moves++;
        return { changed: true, text: "" } as unknown as ChangeResult;
      },
    },
    scheduler: {
      monotonicMs: () => 0,
      defer: (task) => task(),
      after: (_, task) => {
        due = task;
        return () => (due = null);
      },
    },
    logger,
  });
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    end,
    logger,
    movesAfter: async (problem: string | null): Promise<number> => {
      space.problem = problem;
      await turn();
      due?.();
      await turn();
      return moves;
    },
    isWaiting: () => due !== null,
  };
}

describe("little room for the index", () => {
  it("is said and moves the leadership once, until there was room in between", async () => {
    const { movesAfter, logger, end, isWaiting } = watched();
    const moves: number[] = [];
    for (const problem of [null, "little", "less", null, "little"])
      moves.push(await movesAfter(problem));
    assert.deepEqual(moves, [0, 1, 1, 1, 2]);
    assert.equal(logger.lines.filter(({ level }) => level === "warn").length, 2);
    end();
    assert.equal(isWaiting(), false);
  });

  it("moves nothing on a follower, nor where nobody else is", async () => {
    for (const situation of [{ isServing: false }, { voters: 1 }]) {
      const { movesAfter, logger, end } = watched(situation);
      assert.equal(await movesAfter("little"), 0);
      assert.equal(logger.lines.filter(({ level }) => level === "warn").length, 1);
      end();
    }
  });
});
