/**
 * Where the nodes of `hearth dev` live: names, ports, directories, flags. A directory that is used again keeps its ports,
 * since members remember each other by address.
 */
import { randomInt } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { UsageError } from "../command.ts";

export interface DevNode {
  readonly name: string;
  readonly directory: string;
  readonly httpPort: number;
  readonly websocketPort: number;
  readonly grpcPort: number;
  readonly peerPort: number;
}

const HOST = "127.0.0.1";
const PLAN_FILE = "dev.json";
/** Of node 0; the others follow in tens. */
const PEER_PORT = 9_099;
const GRPC_PORT = 9_095;
const PORT_STEP = 10;
/**
 * Below those that systems give to outgoing connections and to listeners without a wish: one of them could sit on the
 * port of a node that is about to start, or that comes back.
 */
const STEADY_PORTS = { first: 10_000, last: 17_999 } as const;
const PORT_TRIES_MAX = 1_000;

export function httpUrl({ httpPort }: DevNode): string {
  return `http://${HOST}:${httpPort}`;
}

export function websocketAddress({ websocketPort }: DevNode): string {
  return `${HOST}:${websocketPort}`;
}

export function peerAddress({ peerPort }: DevNode): string {
  return `${HOST}:${peerPort}`;
}

export interface DevWish {
  readonly directory: string;
  readonly nodeCount: number;
  /** HTTP port of the first node; 0: whatever is free, for all of them. */
  readonly basePort: number;
}

/** Errors: UsageError when the directory holds another number of nodes. */
export async function planNodes(wish: DevWish): Promise<readonly DevNode[]> {
  const { directory, nodeCount } = wish;
  const file = join(directory, PLAN_FILE);
  if (existsSync(file)) return plannedBefore(file, nodeCount);
  const nodes: DevNode[] = [];
  const taken = new Set<number>();
  const claim = async (wanted: number): Promise<number> => {
    const port = await findPort(wish.basePort === 0 ? 0 : wanted, taken);
    taken.add(port);
    return port;
  };
  for (let i = 0; i < nodeCount; i++) {
    const base = wish.basePort + i * PORT_STEP;
    const name = `hearth-${i}`;
    nodes.push({
      name,
      directory: join(directory, name),
      httpPort: await claim(base),
      websocketPort: await claim(base + 1),
      grpcPort: await claim(GRPC_PORT + i * PORT_STEP),
      peerPort: await claim(PEER_PORT + i * PORT_STEP),
    });
  }
  for (const node of nodes) mkdirSync(node.directory, { recursive: true });
  writeFileSync(file, `${JSON.stringify(nodes, null, 2)}\n`);
  return nodes;
}

function plannedBefore(file: string, nodeCount: number): readonly DevNode[] {
  const nodes = JSON.parse(readFileSync(file, "utf8")) as readonly DevNode[];
  // Directories from before gRPC was served have no port for it.
  if (nodes.length === nodeCount)
    return nodes.map((node) => ({ ...node, grpcPort: node.grpcPort ?? 0 }));
  throw new UsageError(
    `${file} is of ${nodes.length} nodes, not of ${nodeCount}`,
    `Write --nodes ${nodes.length}, or name another directory`,
  );
}

/** The wanted port where it is free, else any; 0: any. */
async function findPort(wanted: number, taken: ReadonlySet<number>): Promise<number> {
  const { first, last } = STEADY_PORTS;
  let port = wanted === 0 ? randomInt(first, last + 1) : wanted;
  for (let tries = 0; tries < PORT_TRIES_MAX; tries++) {
    if (!taken.has(port) && (await isFree(port))) return port;
    port = randomInt(first, last + 1);
  }
  throw new Error(`no free port was found from ${first} to ${last}`);
}

function isFree(port: number): Promise<boolean> {
  const listener = createServer();
  return new Promise((resolve) => {
    listener.once("error", () => resolve(false));
    listener.listen(port, HOST, () => listener.close(() => resolve(true)));
  });
}

/** The flags of one node of a set, as `hearth server` takes them. */
export function serverFlags(node: DevNode, all: readonly DevNode[]): string[] {
  return [
    `-metastore.raft.server-id=${node.name}`,
    `-metastore.raft.bind-address=${peerAddress(node)}`,
    `-metastore.raft.advertise-address=${peerAddress(node)}`,
    `-metastore.raft.bootstrap-expect-peers=${all.length}`,
    ...all.map((peer) => `-metastore.raft.bootstrap-peers=${peerAddress(peer)}/${peer.name}`),
    `-metastore.raft.dir=${join(node.directory, "raft")}`,
    `-metastore.data-dir=${join(node.directory, "data")}`,
    `-server.http-listen-address=${HOST}`,
    `-server.http-listen-port=${node.httpPort}`,
    `-server.grpc-listen-address=${HOST}`,
    `-server.grpc-listen-port=${node.grpcPort}`,
    `-hearth.websocket-listen-address=${HOST}`,
    `-hearth.websocket-listen-port=${node.websocketPort}`,
    // Nobody balances load to these: ready means ready.
    "-metastore.min-ready-duration=0s",
    `-storage.filesystem.dir=${join(dirname(node.directory), "bucket")}`,
    // Several nodes share one machine.
    "-hearth.reader-threads=1",
  ];
}
