/** Several real servers that form a cluster on this machine, each under addresses that outlive its process. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { connect, type ConnectOptions, type HearthClient } from "../../src/client/index.ts";
import type { ClusterView } from "../../src/service/index.ts";
import { findFreePorts } from "./ports.ts";
import { type ServerProcess, startServer, waitUntilReady } from "./server-process.ts";
import { until } from "./until.ts";

export interface MemberWish {
  readonly name: string;
  /** Of all members; each makes its own below it. */
  readonly directory: string;
  /** Further flags, after those of the cluster. */
  readonly flags?: readonly string[];
}

/** One member: its place stays, its process comes and goes. */
export class MemberProcess {
  readonly name: string;
  readonly directory: string;
  readonly peerAddress: string;
  readonly #ports: readonly [number, number];
  readonly #flags: readonly string[];
  #process: ServerProcess | null = null;

  private constructor(wish: MemberWish, ports: readonly number[]) {
    const [websocket, http, peer] = ports as [number, number, number];
    this.name = wish.name;
    this.directory = join(wish.directory, wish.name);
    this.peerAddress = `127.0.0.1:${peer}`;
    this.#ports = [websocket, http];
    this.#flags = wish.flags ?? [];
    mkdirSync(this.directory, { recursive: true });
  }

  static async create(wish: MemberWish): Promise<MemberProcess> {
    return new MemberProcess(wish, await findFreePorts(3));
  }

  /** "127.0.0.1:port" of the binary protocol. */
  get endpoint(): string {
    return `127.0.0.1:${this.#ports[0]}`;
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.#ports[1]}`;
  }

  get process(): ServerProcess {
    if (this.#process === null) throw new Error(`${this.name} has not been started`);
    return this.#process;
  }

  get isRunning(): boolean {
    return this.#process !== null && this.#process.ended === null;
  }

  /** Starts the process; it may not be ready when this resolves. */
  async start(flags: readonly string[] = []): Promise<void> {
    this.#process = await startServer({
      directory: this.directory,
      ports: this.#ports,
      mustBeReady: false,
      flags: [
        `-metastore.raft.server-id=${this.name}`,
        `-metastore.raft.bind-address=${this.peerAddress}`,
        `-metastore.raft.advertise-address=${this.peerAddress}`,
        ...this.#flags,
        ...flags,
      ],
    });
  }

  ready(limitMs?: number): Promise<void> {
    return waitUntilReady(this.process, limitMs);
  }

  async view(): Promise<ClusterView> {
    const answer = await fetch(`${this.httpUrl}/api/v1/cluster`);
    return (await answer.json()) as ClusterView;
  }

  /** The sentence of /ready. */
  async readiness(): Promise<string> {
    const answer = await fetch(`${this.httpUrl}/ready`).catch(() => null);
    return (await answer?.text())?.trim() ?? "no answer";
  }

  async kill(): Promise<void> {
    if (this.isRunning) await this.process.kill();
  }
}

/** Flags that name every member to each. */
export function foundingFlags(members: readonly MemberProcess[]): string[] {
  return [
    `-metastore.raft.bootstrap-expect-peers=${members.length}`,
    ...members.map(
      ({ peerAddress, name }) => `-metastore.raft.bootstrap-peers=${peerAddress}/${name}`,
    ),
  ];
}

/** Members node-0, node-1, ... that found a cluster together; ready when this resolves. */
export async function startCluster(
  directory: string,
  count = 3,
  flags: readonly string[] = [],
): Promise<readonly MemberProcess[]> {
  const members: MemberProcess[] = [];
  for (let i = 0; i < count; i++)
    members.push(await MemberProcess.create({ name: `node-${i}`, directory, flags }));
  const founding = foundingFlags(members);
  await Promise.all(members.map((member) => member.start(founding)));
  await Promise.all(members.map((member) => member.ready()));
  return members;
}

/** The running member that leads, by its own word. */
export async function leaderOf(members: readonly MemberProcess[]): Promise<MemberProcess> {
  let leader: MemberProcess | undefined;
  await until("one of the members leads", async () => {
    for (const member of members.filter(({ isRunning }) => isRunning)) {
      const view = await member.view().catch(() => null);
      if (view?.members.some(({ isSelf, isLeader }) => isSelf && isLeader) === true)
        leader = member;
    }
    return leader !== undefined;
  });
  return leader as MemberProcess;
}

/** Runs `body` with a client that knows this member only. */
export async function through<T>(
  member: MemberProcess,
  body: (client: HearthClient) => Promise<T>,
  options: Omit<ConnectOptions, "endpoints"> = {},
): Promise<T> {
  const settings = {
    defaultTimeoutMs: 60_000,
    maxWaitForConnectionMs: 60_000,
    followLeader: false,
  };
  const client = await connect({ ...settings, ...options, endpoints: [member.endpoint] });
  try {
    return await body(client);
  } finally {
    await client.close();
  }
}
