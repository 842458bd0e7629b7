import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LineLogger, type LoggingOptions } from "../../src/cli/server/logging.ts";

function logger(options: Partial<LoggingOptions> = {}): {
  log: LineLogger;
  lines: string[];
  advance: (ms: number) => void;
} {
  const lines: string[] = [];
  let nowMs = Date.parse("2026-11-22T10:24:55.112Z");
  const log = LineLogger.create(
    { level: "info", format: "logfmt", ...options },
    { write: (line) => lines.push(line), nowMs: () => nowMs },
  );
  return {
    log,
    lines,
    advance: (ms) => {
      nowMs += ms;
    },
  };
}

describe("log lines", () => {
  it("are logfmt, with values quoted where they need it", () => {
    const { log, lines } = logger();
    log.child("raft").info("became leader", {
      term: 7,
      peer: "a b",
      text: 'say "x"\n',
      empty: "",
      none: undefined,
      eq: "a=b",
    });
    assert.deepEqual(lines, [
      'ts=2026-11-22T10:24:55.112Z level=info msg="became leader" module=raft term=7 peer="a b" text="say \\"x\\"\\n" empty="" eq="a=b"\n',
    ]);
  });

  it("are JSON on request, with the same names", () => {
    const { log, lines } = logger({ format: "json" });
    log.child("log").child("segment").warn("slow write", { ms: 12.5, isLast: true });
    assert.deepEqual(JSON.parse(lines[0] ?? ""), {
      ts: "2026-11-22T10:24:55.112Z",
      level: "warn",
      msg: "slow write",
      module: "log.segment",
      ms: 12.5,
      isLast: true,
    });
  });

  it("below the level are not written", () => {
    const { log, lines } = logger({ level: "warn" });
    log.debug("a");
    log.info("b");
    log.warn("c");
    log.error("d");
    assert.equal(lines.length, 2);
  });
});

describe("repeats", () => {
  it("of a failure are a few lines and then a sum", () => {
    const { log, lines, advance } = logger();
    for (let i = 0; i < 1_000; i++) {
      log.error("log write failed", { reason: "disk", attempt: i });
      advance(10);
    }
    assert.equal(lines.length, 5);
    advance(60_000);
    log.warn("something else");
    assert.match(lines[5] ?? "", /level=error msg="log write failed" repeated=995 for=1m10s\n$/);
    assert.match(lines[6] ?? "", /something else/);
  });

  it("with another reason or from another module are another failure", () => {
    const { log, lines } = logger();
    for (let i = 0; i < 6; i++) {
      log.warn("failed", { reason: "a" });
      log.warn("failed", { reason: "b" });
      log.child("m").warn("failed", { reason: "a" });
    }
    assert.equal(lines.length, 15);
  });

  it("that are still owed at the end are written then", () => {
    const { log, lines } = logger();
    for (let i = 0; i < 8; i++) log.warn("failed");
    log.flush();
    assert.match(lines.at(-1) ?? "", /msg=failed repeated=3 for=0s/);
  });

  it("of debug lines are bounded per second", () => {
    const { log, lines, advance } = logger({ level: "debug" });
    for (let i = 0; i < 250; i++) log.debug(`line ${i}`);
    assert.equal(lines.length, 100);
    advance(1_000);
    log.debug("next second");
    assert.match(lines[100] ?? "", /msg="debug lines dropped" repeated=150/);
    assert.match(lines[101] ?? "", /next second/);
  });
});
