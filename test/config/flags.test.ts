import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseFlags } from "../../src/config/index.ts";

function given(argv: readonly string[]): [string, unknown][] {
  return parseFlags(argv).assignments.map(({ setting, raw }) => [setting.name, raw]);
}

function problems(argv: readonly string[]): string[] {
  return parseFlags(argv).problems.map(({ severity, message }) => `${severity}: ${message}`);
}

describe("Go-style flags", () => {
  const forms: readonly (readonly [
    argv: readonly string[],
    assignment: readonly [string, string],
  ])[] = [
    [["-log.level=debug"], ["log.level", "debug"]],
    [
      ["-log.level", "debug"],
      ["log.level", "debug"],
    ],
    [["--log.level=debug"], ["log.level", "debug"]],
    [
      ["--log.level", "debug"],
      ["log.level", "debug"],
    ],
    [["-config.expand-env"], ["config.expand-env", "true"]],
    [["-config.expand-env=false"], ["config.expand-env", "false"]],
    [["-metastore.data-dir="], ["metastore.data-dir", ""]],
    [["-metastore.data-dir=a=b"], ["metastore.data-dir", "a=b"]],
    [
      ["-metastore.data-dir", "-odd"],
      ["metastore.data-dir", "-odd"],
    ],
  ];
  for (const [argv, [name, raw]] of forms) {
    it(`${argv.join(" ")} sets ${name}`, () => {
      assert.deepEqual(given(argv), [[name, raw]]);
      assert.deepEqual(problems(argv), []);
    });
  }

  it("a boolean never takes the next argument", () => {
    assert.deepEqual(problems(["-config.expand-env", "false"]), [
      'error: "false" is not a flag, and the server takes no other arguments',
    ]);
  });

  it("repeats are all kept, in order", () => {
    const argv = [
      "-metastore.raft.bootstrap-peers=a:1/x",
      "-metastore.raft.bootstrap-peers",
      "b:1/y",
    ];
    assert.deepEqual(
      given(argv).map(([, raw]) => raw),
      ["a:1/x", "b:1/y"],
    );
  });

  it("-- ends the flags", () => {
    assert.deepEqual(parseFlags(["-log.level=debug", "--", "-log.level=warn"]).rest, [
      "-log.level=warn",
    ]);
  });

  it("a flag without its value says how to write it", () => {
    assert.deepEqual(problems(["-metastore.data-dir"]), [
      "error: -metastore.data-dir needs a value: write -metastore.data-dir=value",
    ]);
  });

  it("a slip gets a suggestion, an unknown name the list", () => {
    assert.deepEqual(problems(["-metastore.raft.dirr=x", "-nonsense"]), [
      "error: -metastore.raft.dirr: unknown flag. Did you mean -metastore.raft.dir?",
      "error: -nonsense: unknown flag. See hearth -help",
    ]);
  });

  it("questions are kept apart from settings", () => {
    assert.deepEqual(parseFlags(["-version", "--help", "-help-all"]).asks, [
      "version",
      "help",
      "help-all",
    ]);
  });

  it("a dash alone, three dashes and an empty name are no flags", () => {
    assert.equal(problems(["-"]).length, 1);
    assert.equal(problems(["---x=1"]).length, 1);
    assert.equal(problems(["-=1"]).length, 1);
  });
});

describe("flags of other components", () => {
  it("are accepted with and without a value, and listed", () => {
    const argv = [
      "-memberlist.cluster-label=x",
      "-query-backend.address",
      "host:9095",
      "-self-profiling.disable-push",
      "-storage.gcs.bucket-name=b",
      "-metastore.grpc-client-config.tls-enabled=true",
    ];
    const result = parseFlags(argv);
    assert.deepEqual(result.problems, []);
    assert.deepEqual(result.foreign, [
      "-memberlist.cluster-label",
      "-query-backend.address",
      "-self-profiling.disable-push",
      "-storage.gcs.bucket-name",
      "-metastore.grpc-client-config.tls-enabled",
    ]);
  });

  it("one that differs from ours by a slip is a warning, because it would be ignored", () => {
    assert.deepEqual(problems(["-server.http-listen-prot=1"]), [
      "warning: -server.http-listen-prot: ignored as a flag of another component. Did you mean -server.http-listen-port?",
    ]);
  });

  it("one whose effect somebody may count on is a warning, not only listed", () => {
    assert.deepEqual(problems(["-server.http-tls-cert-path=/tls.crt"]), [
      "warning: -server.http-tls-cert-path: has no effect, the HTTP port is plain text. Put it behind a proxy, or bind it to a private address",
    ]);
    assert.match(problems(["-admin-server.mode=exclusive"])[0] ?? "", /stay on the HTTP port$/);
  });
});
