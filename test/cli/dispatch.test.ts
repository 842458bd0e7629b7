import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { COMMANDS, HELP_SECTIONS } from "../../src/cli/commands/catalog.ts";
import { EXIT_MEANINGS } from "../../src/cli/command.ts";
import { commandHelp } from "../../src/cli/help.ts";
import { allFlags } from "../../src/cli/parse.ts";
import { hearth } from "./support.ts";

describe("finding a command", () => {
  const misuse: readonly (readonly [line: string, message: string, next?: string])[] = [
    ["blok add", 'unknown command "blok"', "Did you mean hearth block?"],
    ["block ad x", 'unknown command "block ad"', "Did you mean hearth block add?"],
    ["block", '"hearth block" needs one of: add, get'],
    ["query everything", 'unknown command "query everything"', "It has blocks, labels"],
    ["nothing-like-it", 'unknown command "nothing-like-it"', "hearth --help lists all commands"],
    ["tenant list --jsn", "unknown flag --jsn", "Did you mean --json?"],
    ["tenant list -j", "unknown flag -j", "hearth tenant list --help lists all flags"],
    ["tenant list --json=yes", "--json takes no value"],
    ["server --quiet", "unknown flag --quiet", "Did you mean -log.level=error?"],
    ["tenant list --timeout", "--timeout needs a value: --timeout DURATION"],
    ["tenant list --timeout 5", "--timeout: 5 has no unit. Write 5s, 5m or 5h"],
    ["tenant list --timeout 1s --timeout 2s", "--timeout is given twice"],
    ["tenant list --progress fast", '--progress: "fast" is not one of auto, bar, text, json, none'],
    [
      "tenant list --endpoint http://[bad",
      '--endpoint: "http://[bad" is not an address. Write http://host:4040',
    ],
    [
      "tenant list --endpoint ftp://a:4040",
      '--endpoint: "ftp://a:4040" is not an address. Write http://host:4040',
    ],
    [
      "--endpoint http://a:4040 tenant list",
      "--endpoint stands behind the command that it is for",
      "hearth tenant --endpoint ...",
    ],
    [
      "--timeout=5s",
      "--timeout=5s stands behind the command that it is for",
      "hearth --help lists all commands",
    ],
    [
      "tenant list extra",
      '"extra" is one argument too many',
      "hearth tenant list --help shows examples",
    ],
    [
      "block add",
      "hearth block add needs <file or directory> ...",
      "hearth block add --help shows examples",
    ],
    ["query blocks {} --from now", "--tenant is missing", "hearth tenant list shows who has data"],
    ["query labels {} --tenant a", "--labels is missing", "For example --labels service_name"],
    [
      "query blocks {} --tenant a --from yesterday",
      '--from: "yesterday" is not a time',
      "Write 2026-11-22T10:24:55Z, Unix milliseconds, or now-1h",
    ],
    [
      "query blocks {} --tenant a --to now-2h",
      "--from (2026-11-22T09:24:55.000Z) is after --to (2026-11-22T08:24:55.000Z)",
      "Without --from it is an hour ago, without --to now",
    ],
    ["health --format xml", '--format: "xml" is not one of text, json, nagios, prometheus'],
    ["bench load --blocks 0", '--blocks: "0" is not a whole number from 1 to 1,000,000,000'],
    ["block get x --shard y", '--shard: "y" is not a whole number'],
    ["completion tcsh", '"tcsh" is not one of bash, zsh, fish'],
    ["help nothing", 'unknown command "nothing"', "hearth --help lists all commands"],
    ["data inspect memory", '"memory" is not one of log, index, snapshot, go-snapshot'],
  ];
  for (const [line, message, next] of misuse) {
    it(`hearth ${line} exits with 2 and says why`, async () => {
      const { code, out, talk } = await hearth(line.split(" "));
      assert.equal(code, 2);
      assert.equal(out, "");
      const lines = talk.split("\n");
      assert.equal(lines[0], `hearth: ${message}`);
      assert.equal(lines[1], next === undefined ? undefined : `  next   ${next}`);
    });
  }

  it("with --json an error is one object on stderr", async () => {
    const { code, out, talk } = await hearth(["tenant", "list", "--json", "--nope"]);
    assert.equal(code, 2);
    assert.equal(out, "");
    assert.deepEqual(JSON.parse(talk), {
      error: {
        code: "invalid_argument",
        message: "unknown flag --nope",
        next: "hearth tenant list --help lists all flags",
        leader: null,
        requestId: "",
      },
    });
  });

  it("a server has no --json: its log has a setting for that", async () => {
    for (const line of ["server --json", "server -log.level=debug --json", "-target=all --json"]) {
      const { code, talk } = await hearth(line.split(" "));
      const { message, next } = JSON.parse(talk).error;
      assert.deepEqual(
        [code, message, next],
        [2, "unknown flag --json", "Did you mean -log.format=json?"],
      );
    }
  });

  it("-- ends the flags", async () => {
    const { talk } = await hearth(["block", "add", "--", "--no-such-file"]);
    assert.match(talk, /There is no file or directory "--no-such-file"/);
  });
});

describe("help", () => {
  it("no words, -h and --help print the overview on stdout", async () => {
    const said = await Promise.all([
      hearth([]),
      hearth(["-h"]),
      hearth(["--help"]),
      hearth(["help"]),
    ]);
    for (const { code, out, talk } of said) {
      assert.deepEqual([code, talk, out], [0, "", said[0]?.out]);
    }
    for (const spec of COMMANDS)
      assert.ok(said[0]?.out.includes(spec.path.join(" ")), spec.path.join(" "));
  });

  it("a command, a group and a topic have their own", async () => {
    assert.match(
      (await hearth(["block", "add", "--help"])).out,
      /usage {2}hearth block add \[flags\] <file/,
    );
    assert.equal(
      (await hearth(["block", "add", "-h"])).out,
      (await hearth(["help", "block", "add"])).out,
    );
    assert.match((await hearth(["block", "--help"])).out, /hearth block get/);
    assert.equal((await hearth(["block", "--help"])).out, (await hearth(["help", "block"])).out);
    assert.match((await hearth(["help", "exit-codes"])).out, /^ {2}0 {2}done, or healthy/);
    assert.match(
      (await hearth(["help", "config"])).out,
      /HEARTH_METASTORE_RAFT_DIR, YAML metastore\.raft\.dir/,
    );
    assert.match(
      (await hearth(["help", "metrics"])).out,
      /hearth_log_sync_duration_seconds {2}histogram/,
    );
  });

  it("the server's own flags answer as in the reference", async () => {
    const help = await hearth(["-help"]);
    assert.equal(help.code, 0);
    assert.match(help.out, /\n {2}-metastore\.raft\.dir text\n/);
    assert.ok(!help.out.includes("-metastore.raft.wal-cache-entries"));
    assert.match((await hearth(["-help-all"])).out, /-metastore\.raft\.trailing-logs integer/);
    assert.match((await hearth(["-version"])).out, /^hearth \d+\.\d+\.\d+ \(Node\.js v\d+/);
    assert.match((await hearth(["version"])).out, /^hearth \d+\.\d+\.\d+ \(Node\.js v\d+/);
  });

  it("a wrong configuration is exit 2 with every problem", async () => {
    const { code, out, talk } = await hearth(["-nonsense", "-log.level=loud"]);
    assert.equal(code, 2);
    assert.equal(out, "");
    assert.match(talk, /^configuration: 2 errors\nerror {4}flag {2}-nonsense: unknown flag/);
  });
});

describe("commands as data", () => {
  it("each has an example that begins with it, known exit codes, and sentences without a period", () => {
    for (const spec of COMMANDS) {
      const name = spec.path.join(" ");
      assert.ok(spec.examples.length > 0, name);
      for (const example of spec.examples)
        assert.ok(example.command.includes(`hearth ${name}`), name);
      for (const code of spec.exitCodes) assert.ok(code in EXIT_MEANINGS, name);
      assert.match(spec.summary, /^[A-Z].*[^.]$/, name);
      for (const flag of spec.flags)
        assert.match(flag.help, /^[A-Z].*[^.]$/, `${name} --${flag.name}`);
    }
  });

  it("each is in a section of the overview", () => {
    const groups = HELP_SECTIONS.flatMap((section) => section.groups);
    for (const spec of COMMANDS) assert.ok(groups.includes(spec.path[0]), spec.path[0]);
  });

  it("no flag has two meanings within a command, and help fits the screen", () => {
    for (const spec of COMMANDS) {
      const names = allFlags(spec).map((flag) => flag.name);
      assert.equal(new Set(names).size, names.length, spec.path.join(" "));
      for (const line of commandHelp(spec).split("\n")) {
        assert.ok(line.length <= 100 || line.startsWith("  hearth"), line);
      }
    }
  });

  it("completion knows every command and flag", async () => {
    for (const shell of ["bash", "zsh", "fish"]) {
      const { out } = await hearth(["completion", shell]);
      for (const spec of COMMANDS) {
        for (const word of spec.path) assert.ok(out.includes(word), `${shell} ${word}`);
        for (const flag of spec.flags) assert.ok(out.includes(flag.name), `${shell} ${flag.name}`);
      }
    }
  });
});
