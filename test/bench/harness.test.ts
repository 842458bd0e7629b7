/** The benchmark harness: that a ratio is what it says, and that a case which lies or fails is reported. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import {
  type BenchCase,
  type CaseResult,
  createReport,
  formatCase,
  formatTotals,
  type Goal,
  lanesOf,
  median,
  quantileInPlace,
  renderPage,
  repeatCalls,
  runCases,
  runLanes,
  type Sample,
  type Subject,
} from "../../bench/harness/index.ts";

/** A subject whose samples take the given times per operation in turn, us. */
function fixed(name: string, times: readonly number[], log: string[] = []): Subject {
  let calls = 0;
  return {
    name,
    sample(): Sample {
      log.push(name);
      const us = times[calls++ % times.length] as number;
      const latenciesUs = Float64Array.from([us, us, us * 10]);
      return { operations: 3, wallMs: (us * 3) / 1000, cpuMs: (us * 3) / 1000, latenciesUs };
    },
  };
}

function caseOf(goals: readonly Goal[], ours: Subject, limit?: Subject): BenchCase {
  return {
    name: "test/fixed/one",
    about: "Fixed times <i>",
    goals,
    pairs: 5,
    prepare: () => (limit === undefined ? { ours } : { ours, limit }),
  };
}

async function run(benchCase: BenchCase, budgetMs?: number): Promise<CaseResult> {
  const [result] = await runCases([benchCase], {
    seed: 1,
    budgetMs,
    onProgress: () => {},
    onResult: () => {},
  });
  return result as CaseResult;
}

describe("benchmark statistics", () => {
  it("median is the middle, or the mean of the two in the middle", () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.ok(Number.isNaN(median([])));
  });

  it("quantiles are values that occurred", () => {
    const values = Float64Array.from({ length: 100 }, (_, i) => 100 - i);
    assert.equal(quantileInPlace(values, 0.99), 99);
    assert.equal(quantileInPlace(values, 0.5), 50);
    assert.equal(quantileInPlace(Float64Array.of(7), 0.99), 7);
  });
});

describe("benchmark goals", () => {
  it("compare the medians of interleaved pairs", async () => {
    const goals: Goal[] = [
      { metric: "cpuUs", form: "limit/ours", atLeast: 2 },
      { metric: "rate", form: "ours/limit", atLeast: 2.5 },
      { metric: "p99Us", form: "ours-limit", atMost: 0 },
      { metric: "wallUs", form: "ours" },
    ];
    // The fourth pair is disturbed; the median does not care.
    const ours = fixed("ours", [10, 10, 10, 10, 90, 10]);
    const result = await run(caseOf(goals, ours, fixed("limit", [20])));
    assert.deepEqual(
      result.goals.map(({ isMet }) => isMet),
      [true, false, true, null],
    );
    assert.equal(result.goals[0]?.median, 2);
    assert.equal(result.goals[0]?.values.length, 5);
  });

  it("alternate the order of a pair, after one pair that is not counted", async () => {
    const log: string[] = [];
    await run(caseOf([], fixed("A", [1], log), fixed("B", [1], log)));
    assert.equal(log.join(""), "ABABBAABBAAB");
  });

  it("need a limit when they compare with one", async () => {
    const result = await run(caseOf([{ metric: "rate", form: "ours/limit" }], fixed("ours", [1])));
    assert.match(result.failure ?? "", /needs a limit/);
  });
});

describe("benchmark cases", () => {
  it("are closed and cleaned up when they fail", async () => {
    let directory = "";
    let isClosed = false;
    const result = await run({
      name: "test/failing/one",
      about: "",
      goals: [],
      prepare(context) {
        directory = context.directory;
        assert.ok(existsSync(directory));
        const sample = (): Sample => {
          throw new Error("broken subject");
        };
        const close = (): void => {
          isClosed = true;
        };
        return { ours: { name: "broken", sample }, close };
      },
    });
    assert.match(result.failure ?? "", /broken subject/);
    assert.equal(isClosed, true);
    assert.equal(existsSync(directory), false);
  });

  it("do not start when the time is used up", async () => {
    const result = await run(caseOf([], fixed("ours", [1])), -1);
    assert.equal(result.isLeftOut, true);
    assert.equal(result.failure, null);
    assert.match(formatCase(result), /LEFT OUT.*npm run bench -- /);
    assert.match(formatTotals([result]), /1 left out$/);
  });

  it("are reported as text and as a page that escapes what it shows", async () => {
    const goals: Goal[] = [{ metric: "rate", form: "ours/limit", atLeast: 0.5 }];
    const result = await run(caseOf(goals, fixed("ours", [10]), fixed("limit", [10])));
    assert.match(formatCase(result), /PASS {2}rate ours\/limit = 1\.00/);
    const page = renderPage(createReport(new Date(0), 1, [result]));
    assert.match(page, /<svg/);
    assert.ok(page.includes("Fixed times &lt;i>"));
    assert.ok(!page.includes("<script"));
  });
});

describe("calls in flight", () => {
  it("are as many as there are lanes, until the lanes are done", async () => {
    let inFlight = 0;
    let mostInFlight = 0;
    const latencies: number[] = [];
    const work = (done: () => void): void => {
      inFlight++;
      mostInFlight = Math.max(mostInFlight, inFlight);
      setImmediate(() => {
        inFlight--;
        done();
      });
    };
    const calls = await runLanes(lanesOf(3, work), { goesOn: (ended) => ended < 10, latencies });
    assert.equal(mostInFlight, 3);
    assert.equal(inFlight, 0);
    // The two that were under way when the tenth ended are counted, too.
    assert.equal(calls, 12);
    assert.equal(latencies.length, 12);
  });

  it("fail together when one fails", async () => {
    let calls = 0;
    const subject = repeatCalls(
      "third fails",
      (done, failed) =>
        void setImmediate(() => {
          calls++;
          if (calls === 3) failed(new Error("no disk"));
          else done();
        }),
      { inFlight: 2 },
    );
    await assert.rejects(async () => subject.sample(10_000), /no disk/);
  });

  it("fail when one of them throws", async () => {
    let calls = 0;
    const work = (done: () => void): void => {
      calls++;
      if (calls === 3) throw new Error("no socket");
      setImmediate(done);
    };
    const rules = { goesOn: () => true, latencies: null };
    await assert.rejects(runLanes(lanesOf(2, work), rules), /no socket/);
  });
});
