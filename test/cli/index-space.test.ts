/** Room on the disk of the index: what counts as little, and what a member does about it. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Logger } from "../../src/base/index.ts";
import { IndexSpace, type Volume } from "../../src/cli/server/index-space.ts";
import { followDisk, followIndexSpace } from "../../src/cli/server/space-watch.ts";
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

  it("is none for more blocks below half of the bound, until there is a little more", async () => {
    const left = [0.6, 0.4, 0.6, 0.63, 2].map((gib) => ({
      freeBytes: gib * GIB,
      sizeBytes: 100 * GIB,
    }));
    const space = new IndexSpace({ directory: DIRECTORY, freeMinBytes: GIB }, async () => {
      return left.shift() as Volume;
    });
    const full: (string | null)[] = [];
    while (left.length > 0) {
      await space.look();
      full.push(space.fullProblem);
    }
    assert.deepEqual(
      full.map((problem) => problem !== null),
      [false, true, true, false, false],
    );
    assert.match(full[1] ?? "", /^410 MiB free on the disk of \/data\/index, below 512 MiB$/);
  });

  it("is little, then none, in the address space too, whatever the disk has", async () => {
    const space = new IndexSpace({ directory: DIRECTORY, freeMinBytes: GIB }, async () => ({
      freeBytes: 50 * GIB,
      sizeBytes: 100 * GIB,
    }));
    const found: boolean[][] = [];
    const lookAt = async (share: number, sizeBytes: number): Promise<void> => {
      space.attachMap(() => ({ liveBytes: share * sizeBytes, sizeBytes }));
      await space.look();
      found.push([space.problem !== null, space.fullProblem !== null]);
    };
    for (const share of [0.89, 0.91, 0.89, 0.87, 0.96, 0.945, 0.93]) await lookAt(share, 64 * GIB);
    const [none, little, full] = [
      [false, false],
      [true, false],
      [true, true],
    ];
    assert.deepEqual(found, [none, little, little, none, full, full, little]);
    assert.match(
      space.problem ?? "",
      /^the index takes 59.5 GiB of the 64 GiB of hearth.index-map-size$/,
    );
  });

  it("is looked for in the index before the system is asked: then it may be closed", async () => {
    let isClosed = false;
    const space = new IndexSpace({ directory: DIRECTORY, freeMinBytes: GIB }, async () => {
      isClosed = true;
      return { freeBytes: 50 * GIB, sizeBytes: 100 * GIB };
    });
    space.attachMap(() => {
      assert.ok(!isClosed, "a closed index must not be asked");
      return { liveBytes: GIB, sizeBytes: GIB };
    });
    await space.look();
    assert.notEqual(space.fullProblem, null);
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
  const space = {
    problem: null as string | null,
    fullProblem: null as string | null,
    look: async () => {},
  };
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
    movesAfter: async (problem: string | null, isFull = false): Promise<number> => {
      space.problem = problem;
      space.fullProblem = isFull ? problem : null;
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

  it("that ends in none is said as an error, once, and when it is over", async () => {
    const { movesAfter, logger, end } = watched({ isServing: false });
    await movesAfter("little");
    for (const problem of ["none", "still none"]) await movesAfter(problem, true);
    await movesAfter("little");
    assert.deepEqual(
      logger.lines.map(({ level }) => level).filter((level) => level !== "debug"),
      ["warn", "error", "info"],
    );
    end();
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

describe("a disk that is followed", () => {
  it("is looked at again and again, one look at a time, until that is over", async () => {
    let due: (() => void) | null = null;
    let looks = 0;
    let answer = (): void => {};
    const space = {
      look: () =>
        new Promise<void>((resolve) => {
          looks++;
          answer = resolve;
        }),
    };
    const end = followDisk(space, {
      monotonicMs: () => 0,
      defer: (task) => task(),
      after: (_, task) => {
        due = task;
        return () => (due = null);
      },
    });
    const answered = async (): Promise<void> => {
      answer();
      await new Promise((resolve) => setImmediate(resolve));
    };
    assert.deepEqual([looks, due], [1, null]);
    for (const count of [2, 3]) {
      await answered();
      (due as (() => void) | null)?.();
      assert.equal(looks, count);
      due = null;
    }
    await answered();
    end();
    assert.equal(due, null, "the next look is off");
    const endDuring = followDisk(space, {
      monotonicMs: () => 0,
      defer: (task) => task(),
      after: () => assert.fail("nothing follows the end"),
    });
    endDuring();
    await answered();
  });
});
