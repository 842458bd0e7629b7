/**
 * Rules over several settings, and over a setting and the machine: data with a sentence each.
 *
 * A rule only runs when every setting it names is good by itself. Those that look at the machine are separate, so
 * that a file can be checked on another machine than the one it is for.
 */
import { existsSync, statfsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { formatSizeSetting } from "../base/index.ts";
import { logGroupBytes } from "./config.ts";
import { PLANNER_SETTINGS, plannerProblem } from "./planner-keys.ts";
import type { UsedSettingName } from "./settings.ts";
import type { Setting, SettingValue, Severity } from "./types.ts";

export interface RuleView {
  get(name: UsedSettingName): SettingValue;
  /** As the user would have written it. */
  show(name: UsedSettingName): string;
}

export interface Rule {
  readonly settings: readonly [UsedSettingName, ...UsedSettingName[]];
  readonly severity: Severity;
  readonly looksAtMachine?: boolean;
  /** A sentence without a period when the rule is broken, or null. */
  check(view: RuleView): string | null;
}

export const RULES: readonly Rule[] = [
  {
    settings: ["target"],
    severity: "error",
    check: (view) => {
      const target = view.get("target");
      if (target === "metastore") return null;
      return `target: "${target}" cannot run here; this program is only the metastore. Write metastore`;
    },
  },
  {
    settings: [
      "metastore.raft.bootstrap-expect-peers",
      "metastore.raft.bootstrap-peers",
      "metastore.raft.server-id",
      "metastore.raft.auto-join",
    ],
    severity: "error",
    check: checkPeerCount,
  },
  {
    settings: ["metastore.raft.auto-join", "metastore.raft.bootstrap-peers"],
    severity: "error",
    check: (view) => {
      const peers = view.get("metastore.raft.bootstrap-peers") as readonly string[];
      if (view.get("metastore.raft.auto-join") !== true || peers.length > 0) return null;
      return "metastore.raft.auto-join is on, but there is nobody to ask. Name members by metastore.raft.bootstrap-peers";
    },
  },
  {
    settings: ["metastore.raft.bind-address"],
    severity: "error",
    check: (view) => checkAddress(view, "metastore.raft.bind-address", true),
  },
  {
    settings: ["metastore.raft.advertise-address"],
    severity: "error",
    check: (view) => checkAddress(view, "metastore.raft.advertise-address", false),
  },
  {
    settings: ["server.http-listen-port", "hearth.websocket-listen-port"],
    severity: "error",
    check: (view) => {
      const port = view.get("server.http-listen-port");
      if (port === 0 || port !== view.get("hearth.websocket-listen-port")) return null;
      return `server.http-listen-port and hearth.websocket-listen-port are both ${port}. Give each its own`;
    },
  },
  {
    settings: [
      "server.grpc-listen-port",
      "server.http-listen-port",
      "hearth.websocket-listen-port",
    ],
    severity: "error",
    check: (view) => {
      const port = view.get("server.grpc-listen-port");
      const others = ["server.http-listen-port", "hearth.websocket-listen-port"] as const;
      const same = others.find((name) => view.get(name) === port);
      if (port === 0 || same === undefined) return null;
      return `server.grpc-listen-port and ${same} are both ${port}. Give each its own`;
    },
  },
  {
    settings: ["server.grpc-tls-cert-path", "server.grpc-tls-key-path"],
    severity: "error",
    check: (view) => {
      const [cert, key] = ["server.grpc-tls-cert-path", "server.grpc-tls-key-path"] as const;
      if ((view.get(cert) === "") === (view.get(key) === "")) return null;
      const missing = view.get(cert) === "" ? cert : key;
      return `${missing} is not set: a certificate and its key belong together`;
    },
  },
  {
    settings: [
      "server.grpc-tls-client-auth",
      "server.grpc-tls-ca-path",
      "server.grpc-tls-cert-path",
    ],
    severity: "error",
    check: (view) => {
      const names = ["server.grpc-tls-client-auth", "server.grpc-tls-ca-path"] as const;
      // A file that spells out what is so anyway asks for nothing.
      const set = names.find((name) => !["", "NoClientCert"].includes(String(view.get(name))));
      if (set === undefined || view.get("server.grpc-tls-cert-path") !== "") return null;
      return `${set} has no effect without TLS. Set server.grpc-tls-cert-path and server.grpc-tls-key-path`;
    },
  },
  {
    settings: ["storage.backend", "storage.s3.bucket-name"],
    severity: "error",
    check: (view) => {
      if (view.get("storage.backend") !== "s3" || view.get("storage.s3.bucket-name") !== "")
        return null;
      return "storage.backend is s3, but storage.s3.bucket-name is empty. Name the bucket";
    },
  },
  {
    settings: ["metastore.data-dir", "metastore.raft.dir"],
    severity: "error",
    check: (view) => {
      const data = resolve(String(view.get("metastore.data-dir")));
      if (data !== resolve(String(view.get("metastore.raft.dir")))) return null;
      return "metastore.data-dir and metastore.raft.dir are the same directory. The index may be deleted, the log never: keep them apart";
    },
  },
  {
    settings: ["hearth.answer-max-bytes", "hearth.frame-max-bytes"],
    severity: "warning",
    check: (view) => {
      if (Number(view.get("hearth.answer-max-bytes")) >= Number(view.get("hearth.frame-max-bytes")))
        return null;
      return (
        `hearth.answer-max-bytes (${view.show("hearth.answer-max-bytes")}) is below hearth.frame-max-bytes ` +
        `(${view.show("hearth.frame-max-bytes")}): blocks can be written that no answer can carry`
      );
    },
  },
  {
    settings: ["hearth.log-segment-size"],
    severity: "error",
    check: (view) => {
      if (Number(view.get("hearth.log-segment-size")) % 4_096 === 0) return null;
      return `hearth.log-segment-size: ${view.show("hearth.log-segment-size")} is not a multiple of 4KiB. Write for example 64MiB`;
    },
  },
  {
    settings: ["hearth.log-segment-size", "hearth.frame-max-bytes"],
    severity: "error",
    check: (view) => {
      // Two groups per file at least, or most of each file would stay empty.
      const leastBytes = 2 * logGroupBytes(Number(view.get("hearth.frame-max-bytes")));
      if (Number(view.get("hearth.log-segment-size")) >= leastBytes) return null;
      return (
        `hearth.log-segment-size (${view.show("hearth.log-segment-size")}) is too small for hearth.frame-max-bytes ` +
        `(${view.show("hearth.frame-max-bytes")}): one file of the log must hold two of the largest writes. ` +
        `Write at least ${formatSizeSetting(leastBytes)}`
      );
    },
  },
  {
    settings: ["metastore.raft.snapshots-import-dir"],
    severity: "error",
    check: (view) =>
      view.get("metastore.raft.snapshots-import-dir") === ""
        ? null
        : "metastore.raft.snapshots-import-dir: snapshots of the reference cannot be imported. " +
          "Leave it out to start with an empty index",
  },
  ...PLANNER_SETTINGS.map(
    ({ name }): Rule => ({
      settings: [name],
      severity: "error",
      check: (view) => plannerProblem(name, view.get(name)),
    }),
  ),
  {
    settings: ["hearth.allow-raw-commands"],
    severity: "warning",
    check: (view) =>
      view.get("hearth.allow-raw-commands") === true
        ? "hearth.allow-raw-commands is on: any client can rewrite the index. Only for conformance runs"
        : null,
  },
  {
    settings: ["metastore.raft.dir"],
    severity: "warning",
    looksAtMachine: true,
    check: (view) => {
      const directory = String(view.get("metastore.raft.dir"));
      const kind = volatileFileSystem(directory);
      if (kind === null) return null;
      return `metastore.raft.dir: ${directory} is on ${kind}; a restart of all nodes would lose the index. Use a persistent volume`;
    },
  },
];

/** Static peers and this node, counted by id as the reference counts them (spec raft-and-cluster, 7). */
function checkPeerCount(view: RuleView): string | null {
  const peers = view.get("metastore.raft.bootstrap-peers") as readonly string[];
  const expected = Number(view.get("metastore.raft.bootstrap-expect-peers"));
  // Who joins or is added only needs somebody to ask.
  if (expected === 0 || view.get("metastore.raft.auto-join") === true) return null;
  // What a DNS name will resolve to is not known before the start; a single node needs no list at all.
  if (peers.some((peer) => peer.includes("+"))) return null;
  const ids = new Set([...peers.map(peerId), String(view.get("metastore.raft.server-id"))]);
  if (ids.size === expected) return null;
  return (
    `bootstrap-expect-peers is ${expected}, but bootstrap_peers and this node make ${ids.size}. ` +
    "Name every node as host:port/server-id"
  );
}

/** The id of a static peer without one is its host. */
function peerId(peer: string): string {
  const slash = peer.indexOf("/");
  return slash < 0 ? peer.replace(/:\d+$/, "") : peer.slice(slash + 1);
}

function checkAddress(view: RuleView, name: UsedSettingName, mayBeEmpty: boolean): string | null {
  const address = String(view.get(name));
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]*):(\d{1,5})$/.exec(address);
  const isGood =
    match !== null &&
    Number(match[2]) <= 65_535 &&
    (mayBeEmpty || (match[1] !== "" && match[2] !== "0"));
  if (isGood) return null;
  return `${name}: "${address}" is not an address. Write host:port, for example hearth-0:9099`;
}

/** Magic numbers of statfs(2) for file systems that live in memory. */
const VOLATILE_FILE_SYSTEMS: Readonly<Record<number, string>> = {
  16914836: "tmpfs",
  2240043254: "ramfs",
};

/** Name of the in-memory file system that holds a path (or will, once it is created), else null. */
export function volatileFileSystem(path: string): string | null {
  let existing = resolve(path);
  while (!existsSync(existing) && dirname(existing) !== existing) existing = dirname(existing);
  try {
    return VOLATILE_FILE_SYSTEMS[statfsSync(existing).type] ?? null;
  } catch {
    // Not every system has statfs; no warning is better than a wrong one.
    return null;
  }
}

/** A rule over settings that do not exist would never run: checked by a test. */
export function ruleSettings(): Setting["name"][] {
  return RULES.flatMap((rule) => [...rule.settings]);
}
