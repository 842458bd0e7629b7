/** Three etcd processes on this machine, and lanes that write to and read from them. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePorts } from "../../../test/support/ports.ts";
import { Http2Unary } from "./http2-unary.ts";
import type { Lane } from "./lane.ts";

export interface EtcdNode {
  readonly pid: number;
  readonly clientPort: number;
}

export interface EtcdCluster {
  readonly nodes: readonly EtcdNode[];
  /** "3.4.23". */
  readonly version: string;
  stop(): Promise<void>;
}

const HOW_TO_INSTALL = "apt-get install etcd-server";
const READY_LIMIT_MS = 30_000;
const POLL_MS = 100;

/** Its version, or null where it is not installed and cannot be. `say` is told when it is being installed. */
export function findEtcd(say: (text: string) => void): string | null {
  const found = etcdVersion();
  if (found !== null || process.getuid?.() !== 0) return found;
  say(`etcd is not installed; trying ${HOW_TO_INSTALL}`);
  try {
    execFileSync("apt-get", ["update"], { stdio: "ignore", timeout: 120_000 });
    execFileSync("apt-get", ["install", "-y", "etcd-server"], {
      stdio: "ignore",
      timeout: 300_000,
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
  } catch {
    // No such packages here: the benchmark reports our figures alone and says why.
  }
  return etcdVersion();
}

export const ETCD_MISSING = `etcd is not installed (${HOW_TO_INSTALL}): nothing to compare with`;

function etcdVersion(): string | null {
  try {
    const text = execFileSync("etcd", ["--version"], { encoding: "utf8" });
    return /etcd Version: (\S+)/.exec(text)?.[1] ?? "unknown";
  } catch {
    return null;
  }
}

/** Default settings: every write is synced to the disk of a majority before it is answered. */
export async function startEtcd(
  directory: string,
  nodeCount: number,
  version: string,
): Promise<EtcdCluster> {
  const ports = await findFreePorts(nodeCount * 2);
  const members = Array.from({ length: nodeCount }, (_, i) => ({
    name: `etcd-${i + 1}`,
    clientPort: ports[2 * i] as number,
    peerUrl: `http://127.0.0.1:${ports[2 * i + 1]}`,
  }));
  const initialCluster = members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(",");
  const children: ChildProcess[] = [];
  const stop = (): void => {
    for (const child of children) child.kill("SIGKILL");
  };
  process.once("exit", stop);
  for (const { name, clientPort, peerUrl } of members) {
    const clientUrl = `http://127.0.0.1:${clientPort}`;
    const args = [
      ...["--name", name, "--data-dir", join(directory, name), "--logger", "zap"],
      ...["--listen-client-urls", clientUrl, "--advertise-client-urls", clientUrl],
      ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
      ...["--initial-cluster", initialCluster, "--initial-cluster-state", "new"],
    ];
    children.push(spawn("etcd", args, { stdio: "ignore" }));
  }
  const exited = Promise.all(
    children.map((child) => new Promise((resolve) => child.once("exit", resolve))),
  );
  await Promise.all(members.map(({ clientPort }) => waitUntilHealthy(clientPort)));
  return {
    nodes: members.map(({ clientPort }, i) => ({ clientPort, pid: children[i]?.pid as number })),
    version,
    async stop() {
      stop();
      await exited;
      process.removeListener("exit", stop);
    },
  };
}

async function waitUntilHealthy(clientPort: number): Promise<void> {
  const endAtMs = performance.now() + READY_LIMIT_MS;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${clientPort}/health`).catch(() => null);
    if (answer?.ok === true && (await answer.text()).includes("true")) return;
    if (performance.now() > endAtMs) throw new Error("etcd has not become healthy");
    await sleep(POLL_MS);
  }
}

/** The leader's position among the nodes, by asking each for its state. */
export async function etcdLeader({ nodes }: EtcdCluster): Promise<number> {
  for (const [i, { clientPort }] of nodes.entries()) {
    const metrics = await (await fetch(`http://127.0.0.1:${clientPort}/metrics`)).text();
    if (/^etcd_server_is_leader 1$/m.test(metrics)) return i;
  }
  throw new Error("No etcd node leads");
}

const KEY_BYTES = 16;

/** Writes values of that size, each under a key of its own. */
export async function etcdPutLane(node: EtcdNode, lane: number, valueBytes: number): Promise<Lane> {
  const call = await Http2Unary.connect({
    port: node.clientPort,
    path: "/etcdserverpb.KV/Put",
  });
  const message = putRequest(laneKey(lane, 0), Buffer.alloc(valueBytes, 1));
  const keyOffset = message.indexOf(laneKey(lane, 0));
  let serial = 0;
  return {
    send(done) {
      message.set(laneKey(lane, serial++), keyOffset);
      call.call(message, (answer) => {
        // A header with cluster, member, revision and term: every put has one.
        if (answer.length < 10) throw new Error("etcd answered a put without a header");
        done();
      });
    },
    close: () => call.close(),
  };
}

/** Linearizable reads of one key after the other, of those that `etcdPutLane` has written first. */
export async function etcdRangeLane(
  node: EtcdNode,
  lane: number,
  { keyCount, valueBytes }: { readonly keyCount: number; readonly valueBytes: number },
): Promise<Lane> {
  const call = await Http2Unary.connect({
    port: node.clientPort,
    path: "/etcdserverpb.KV/Range",
  });
  let serial = lane;
  return {
    send(done) {
      call.call(rangeRequest(laneKey(0, serial++ % keyCount)), (answer) => {
        if (answer.length < valueBytes) throw new Error("etcd has not found a key");
        done();
      });
    },
    close: () => call.close(),
  };
}

function laneKey(lane: number, serial: number): Buffer {
  return Buffer.from(
    `${String(lane).padStart(4, "0")}/${String(serial).padStart(KEY_BYTES - 5, "0")}`,
  );
}

/** PutRequest { bytes key = 1; bytes value = 2; } */
function putRequest(key: Uint8Array, value: Uint8Array): Buffer {
  return Buffer.concat([bytesField(1, key), bytesField(2, value)]);
}

/** RangeRequest { bytes key = 1; bool serializable = 7; }, the latter left at false: linearizable. */
function rangeRequest(key: Uint8Array): Buffer {
  return bytesField(1, key);
}

function bytesField(field: number, value: Uint8Array): Buffer {
  const length: number[] = [];
  for (let rest = value.length; ; rest >>>= 7) {
    length.push(rest < 0x80 ? rest : (rest & 0x7f) | 0x80);
    if (rest < 0x80) break;
  }
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...length]), value]);
}
