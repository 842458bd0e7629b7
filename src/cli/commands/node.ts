/** Commands about nodes: start one, look at one. */
import type { CommandSpec } from "../command.ts";

export const NODE_COMMANDS: readonly CommandSpec[] = [
  {
    path: ["server"],
    summary: "Start a node",
    operandCount: [0, 0],
    details:
      "The same as `hearth -flag=value ...`: every flag is Go-style and has a twin in the environment and in the YAML " +
      "file. `hearth -help` lists them, `hearth config check` tries them without starting. It says everything in its log: " +
      "-log.format and -log.level stand here for --json and --quiet.",
    flags: [],
    takesServerFlags: true,
    replaced: { json: "-log.format=json", quiet: "-log.level=error" },
    handlesSignals: true,
    examples: [
      { command: "hearth server", comment: "data under ./data, HTTP on 4040, WebSocket on 4041" },
      {
        command: "hearth server -config.file=hearth.yaml -log.level=debug",
        comment: "settings from a file, one from the command line",
      },
    ],
    exitCodes: [0, 1, 2, 74],
    load: () => import("./run/server.ts"),
  },
  {
    path: ["dev"],
    summary: "Start local nodes to try things with; Ctrl-C stops them all",
    operandCount: [0, 0],
    details:
      "The nodes are processes of their own on this machine. Without --dir their data is temporary; with it, the next start " +
      "goes on where this one ends, on the same ports. The first node takes the usual ports where they are free.",
    flags: [
      {
        name: "nodes",
        value: "COUNT",
        whenAbsent: "1",
        help: "How many nodes form the cluster, at most 9",
      },
      { name: "sample", help: "Add 1,000 blocks of five tenants" },
      {
        name: "dir",
        value: "DIRECTORY",
        whenAbsent: "a temporary one",
        help: "Keep the data here",
      },
      {
        name: "base-port",
        value: "PORT",
        whenAbsent: "4040",
        help: "HTTP port of the first node; the others follow in tens; 0 takes whatever is free",
      },
      {
        name: "timeout",
        value: "DURATION",
        whenAbsent: "HEARTH_TIMEOUT, else 60s",
        help: "Longest wait for the nodes to be ready",
      },
    ],
    handlesSignals: true,
    timeout: "60s",
    schema: "hearth/dev/v1",
    examples: [
      { command: "hearth dev --nodes 3 --sample", comment: "a cluster with data in it" },
      { command: "hearth dev --nodes 3 --dir ./cluster", comment: "to be started again later" },
    ],
    exitCodes: [0, 1, 2],
    load: () => import("./run/dev.ts"),
  },
  {
    path: ["status"],
    summary: "One screen of truth: every member, what is wrong, and what to do about it",
    operandCount: [0, 0],
    details:
      "Any node answers, also without a quorum; it asks the others and says how old each piece is. Exits with 4 when not " +
      "all is well. Further endpoints are asked for their own word, which shows members that the first one cannot reach.",
    flags: [
      { name: "watch", help: "Again every 2 s until Ctrl-C; with --json one object per line" },
      {
        name: "wait",
        help: "Wait until the asked node is ready, as long as --timeout allows; then only that decides the exit code",
      },
    ],
    usesNode: true,
    schema: "hearth/status/v1",
    examples: [
      { command: "hearth status", comment: "ask the node on this machine" },
      {
        command: "hearth status --endpoint http://10.0.3.5:4040 --endpoint http://10.0.3.6:4040",
        comment: "the first that answers, with the second's own view",
      },
      { command: "hearth status --watch", comment: "during an upgrade" },
      { command: "hearth status --wait --timeout 60s", comment: "in a start script" },
    ],
    exitCodes: [0, 2, 3, 4, 5, 130],
    load: () => import("./run/status.ts"),
  },
  {
    path: ["health"],
    summary: "A check for scripts: is the node ready",
    operandCount: [0, 0],
    details:
      "With --format nagios the exit codes are those of its plugins: 0 ready, 2 not ready or no answer. --format prometheus " +
      "prints one sample for a textfile collector.",
    flags: [
      {
        name: "format",
        value: "FORMAT",
        whenAbsent: "text",
        help: "Form of the answer: text, json, nagios or prometheus",
      },
      { name: "live", help: "Ask whether a restart would help, instead of whether it is ready" },
    ],
    usesNode: true,
    schema: "hearth/health/v1",
    examples: [
      {
        command: "hearth health --quiet",
        comment: "only the exit code: 0 ready, 4 not ready, 3 no answer",
      },
      {
        command: "hearth health --format nagios",
        comment: "one line in the form of a monitoring plugin",
      },
    ],
    exitCodes: [0, 2, 3, 4],
    load: () => import("./run/health.ts"),
  },
];
