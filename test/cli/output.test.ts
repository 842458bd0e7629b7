import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { labelSets } from "../../src/cli/block-view.ts";
import type { GlobalFlags } from "../../src/cli/command.ts";
import { Progress } from "../../src/cli/progress.ts";
import { formatTable } from "../../src/cli/table.ts";
import { formatTime, parseTime } from "../../src/cli/times.ts";
import { fitLine, printable } from "../../src/cli/terminal.ts";
import { recordingTerminal } from "./support.ts";

describe("tables", () => {
  it("align, have two spaces between columns, and tell unknown from not applicable", () => {
    const columns = [
      { title: "NODE", align: "left" },
      { title: "APPLIED", align: "right" },
      { title: "LAG", align: "right" },
      { title: "NOTE", align: "left" },
    ] as const;
    const rows = [
      ["hearth-0", 4_812_090, 0, ""],
      ["hearth-10", undefined, null, "x"],
    ];
    assert.deepEqual(formatTable(columns, rows), [
      "NODE         APPLIED  LAG  NOTE",
      "hearth-0   4,812,090    0",
      "hearth-10          ?    -  x",
    ]);
  });
});

describe("what a terminal is given", () => {
  it("cannot move its cursor or turn its text around", () => {
    assert.equal(printable("a\u001b[2Jb\u0007\r\u009b1m"), "a\\u001b[2Jb\\u0007\\u000d\\u009b1m");
    assert.equal(printable("x\u202ey\u2066z"), "x\\u202ey\\u2066z");
    assert.equal(printable("plain\n\ttext, ä €  ███ 🙂"), "plain\n\ttext, ä €  ███ 🙂");
  });
});

describe("times", () => {
  const now = 1_000_000_000;
  const good: readonly (readonly [text: string, ms: number])[] = [
    ["2026-11-22T10:24:55Z", Date.parse("2026-11-22T10:24:55Z")],
    ["2026-11-22T10:24:55.123Z", Date.parse("2026-11-22T10:24:55.123Z")],
    ["2026-11-22T12:24:55+02:00", Date.parse("2026-11-22T10:24:55Z")],
    ["2026-11-22T10:24Z", Date.parse("2026-11-22T10:24:00Z")],
    ["2026-11-22", Date.parse("2026-11-22T00:00:00Z")],
    ["1795343095000", 1_795_343_095_000],
    ["0", 0],
    ["-5", -5],
    ["now", now],
    ["now-1h", now - 3_600_000],
    ["now+30m", now + 1_800_000],
    ["now-1d", now - 86_400_000],
  ];
  for (const [text, ms] of good) {
    it(`${text} is ${ms}`, () => assert.equal(parseTime("from", text, now), ms));
  }
  for (const text of [
    "",
    "now-",
    "now-1",
    "1h",
    "2026-13-01",
    "2026-11-22T10:24:55",
    "tomorrow",
    "1.5",
  ]) {
    it(`"${text}" is refused`, () => {
      assert.throws(() => parseTime("from", text, now), {
        name: "UsageError",
        message: /^--from: /,
      });
    });
  }

  it("are shown in UTC, to the second, also when they cannot be a date", () => {
    assert.equal(formatTime(1_739_263_329_280), "2025-02-11T08:42:09Z");
    assert.equal(formatTime(9e15), "9000000000000000");
  });
});

describe("label sets", () => {
  it("are read from their runs, empty ones included", () => {
    const block = { stringTable: ["", "a", "1", "b", 'x"y'] };
    assert.deepEqual(labelSets(block, [2, 1, 2, 3, 4, 0, 1, 3, 2]), [
      '{a="1", b="x\\"y"}',
      "{}",
      '{b="1"}',
    ]);
    assert.deepEqual(labelSets({}, [1, 7, 8]), ['{=""}']);
  });
});

describe("progress", () => {
  function progress(
    globals: Partial<GlobalFlags>,
    {
      isTty = false,
      environment = {},
    }: { isTty?: boolean; environment?: Record<string, string> } = {},
  ): {
    progress: Progress;
    advance: (ms: number) => void;
    said: ReturnType<typeof recordingTerminal>["said"];
  } {
    let nowMs = 1_000;
    const { terminal, said } = recordingTerminal(isTty);
    const all = {
      endpoints: [],
      isJson: false,
      isQuiet: false,
      timeoutMs: 1,
      progress: "auto",
      ...globals,
    } as const;
    const options = { title: "adding", unit: "blocks", total: 1_000, clock: () => nowMs };
    return {
      progress: new Progress(options, { terminal, globals: all, environment }),
      advance: (ms) => {
        nowMs += ms;
      },
      said,
    };
  }

  it("is a bar where a person watches", () => {
    const { progress: shown, advance, said } = progress({}, { isTty: true });
    shown.update(0);
    advance(50);
    shown.update(50);
    advance(950);
    shown.update(250);
    shown.end();
    const [, second, last] = said().redrawn;
    assert.equal(
      second,
      "adding  █████░░░░░░░░░░░░░░░  25 %  250 of 1,000 blocks  250/s  3 s left",
    );
    assert.equal(last, "", "the line is left clean");
    assert.equal(said().redrawn.length, 3);
  });

  it("stays on one line of a narrow terminal, since it could not draw over two", () => {
    assert.equal(fitLine("adding  25 %", 13), "adding  25 %");
    assert.equal(fitLine("adding  25 %", 12), "adding  25…");
    assert.equal(fitLine("adding  25 %", undefined), "adding  25 %");
  });

  it("is a line per tenth without a terminal or with CI, and none for short work", () => {
    for (const shape of [{}, { isTty: true, environment: { CI: "true" } }]) {
      const { progress: shown, advance, said } = progress({}, shape);
      for (let done = 0; done <= 1_000; done += 50) {
        shown.update(done);
        advance(done < 500 ? 100 : 1_000);
      }
      const lines = said().talk.split("\n");
      assert.equal(lines.length, 6, lines.join("\n"));
      assert.match(
        lines[0] ?? "",
        /^adding {2}55 % {2}550 of 1,000 blocks {2}275\/s {2}1\.6 s left$/,
      );
    }
  });

  it("is silent when told so, and JSON when told so", () => {
    for (const globals of [{ isQuiet: true }, { isJson: true }, { progress: "none" as const }]) {
      const { progress: shown, advance, said } = progress(globals);
      advance(60_000);
      shown.update(500);
      shown.end();
      assert.equal(said().talk, "");
    }
    const { progress: shown, advance, said } = progress({ progress: "json" });
    advance(1_000);
    shown.update(500);
    assert.deepEqual(JSON.parse(said().talk), {
      progress: {
        title: "adding",
        unit: "blocks",
        done: 500,
        total: 1_000,
        perSec: 500,
        leftMs: 1_000,
      },
    });
  });
});
