import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatDurationSetting,
  formatSizeSetting,
  parseDuration,
  parseSize,
  Prng,
  suggest,
} from "../../src/base/index.ts";

describe("durations", () => {
  const good: readonly (readonly [text: string, ms: number])[] = [
    ["15s", 15_000],
    ["0", 0],
    ["0s", 0],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    [".5s", 500],
    ["14ms", 14],
    ["100us", 0.1],
    ["100µs", 0.1],
    ["-10m", -600_000],
    ["31d", 2_678_400_000],
    ["1w", 604_800_000],
  ];
  for (const [text, ms] of good) {
    it(`${text} is ${ms} ms`, () => {
      assert.deepEqual(parseDuration(text), { ok: true, value: ms });
    });
  }

  const bad: readonly (readonly [text: string, reason: string])[] = [
    ["15", "15 has no unit. Write 15s, 15m or 15h"],
    ["1.5", "1.5 has no unit. Write 1.5s, 1.5m or 1.5h"],
    ["", '"" is not a duration. Write for example 15s, 2m30s or 6h'],
    ["s", '"s" is not a duration. Write for example 15s, 2m30s or 6h'],
    ["15 s", '"15 s" is not a duration. Write for example 15s, 2m30s or 6h'],
    ["15x", '"x" is not a unit of time. Use ns, us, ms, s, m, h, d, w or y'],
    ["1h15", '"1h15" is not a duration. Write for example 15s, 2m30s or 6h'],
  ];
  for (const [text, reason] of bad) {
    it(`"${text}" is refused with a cure`, () => {
      assert.deepEqual(parseDuration(text), { ok: false, reason });
    });
  }

  it("a setting that is written out reads back to the same value", () => {
    for (const ms of [0, 14, 1_000, 15_000, 90_000, 3_600_000, 2_678_400_000, 1_500, -600_000]) {
      assert.deepEqual(
        parseDuration(formatDurationSetting(ms)),
        { ok: true, value: ms },
        String(ms),
      );
    }
  });

  it("words for people have two parts at most", () => {
    assert.deepEqual(
      [0, 0.25, 12.4, 3_200, 59_900, 250_000, 4_320_000, 273_600_000].map(formatDuration),
      ["0 ms", "0.25 ms", "12 ms", "3.2 s", "59.9 s", "4m 10s", "1h 12m", "3d 4h"],
    );
  });
});

describe("sizes", () => {
  it("binary and decimal units differ", () => {
    assert.deepEqual(parseSize("1KiB"), { ok: true, value: 1_024 });
    assert.deepEqual(parseSize("1KB"), { ok: true, value: 1_000 });
    assert.deepEqual(parseSize("1.5GiB"), { ok: true, value: 1_610_612_736 });
    assert.deepEqual(parseSize("64 MiB"), { ok: true, value: 67_108_864 });
    assert.deepEqual(parseSize("512B"), { ok: true, value: 512 });
  });

  it("a number without unit, or with another one, is refused with a cure", () => {
    assert.deepEqual(parseSize("64"), {
      ok: false,
      reason: "64 has no unit. Write 64B, 64KiB or 64MiB",
    });
    assert.deepEqual(parseSize("64MX"), {
      ok: false,
      reason: '"MX" is not a unit of size. Use B, KiB, MiB, GiB, KB, MB or GB',
    });
    assert.deepEqual(parseSize("-1MiB"), {
      ok: false,
      reason: '"-1MiB" is not a size. Write for example 64MiB or 1GB',
    });
  });

  it("a setting that is written out reads back to the same value", () => {
    for (const bytes of [0, 1, 1_000, 1_024, 1_536, 67_108_864, 68_719_476_736]) {
      assert.deepEqual(
        parseSize(formatSizeSetting(bytes)),
        { ok: true, value: bytes },
        String(bytes),
      );
    }
  });

  it("words for people keep three digits", () => {
    assert.deepEqual([812, 1_024, 1_288_490_189, 137_438_953_472].map(formatBytes), [
      "812 B",
      "1 KiB",
      "1.2 GiB",
      "128 GiB",
    ]);
  });
});

describe("counts", () => {
  it("have separators", () => {
    assert.deepEqual([0, 999, 1_000, 4_812_090, 12n ** 9n].map(formatCount), [
      "0",
      "999",
      "1,000",
      "4,812,090",
      "5,159,780,352",
    ]);
  });
});

describe("suggestions", () => {
  const names = ["snapshot_threshold", "server_id", "apply_timeout"];

  it("finds a slip of a letter, a swap and another separator", () => {
    assert.equal(suggest("snapshot_treshold", names), "snapshot_threshold");
    assert.equal(suggest("sevrer_id", names), "server_id");
    assert.equal(suggest("applyTimeout", names), "apply_timeout");
  });

  it("offers nothing that was not meant", () => {
    assert.equal(suggest("completely_else", names), null);
    assert.equal(suggest("apply_timeouts_x", names, 1), null);
  });
});

describe("prng", () => {
  it("the same seed and stream give the same sequence, others do not", () => {
    const draw = (seed: number, stream?: number): number[] => {
      const prng = new Prng(seed, stream);
      return Array.from({ length: 4 }, () => prng.nextU32());
    };
    assert.deepEqual(draw(1), draw(1));
    assert.notDeepEqual(draw(1), draw(2));
    assert.notDeepEqual(draw(1, 0), draw(1, 1));
    assert.deepEqual(draw(42, 7), [2229867019, 1291708863, 22530524, 2469857607]);
  });

  it("stays within its bounds and reaches both of them", () => {
    const prng = new Prng(3);
    const seen = new Set(Array.from({ length: 500 }, () => prng.nextBetween(2, 5)));
    assert.deepEqual([...seen].sort(), [2, 3, 4, 5]);
  });
});
