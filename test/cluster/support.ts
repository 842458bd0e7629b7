/** Nodes on 127.0.0.1 with the real network, and what they heard. */

import { connect, type Server, type Socket } from "node:net";
import { type HearthError, Prng, SILENT_LOGGER, SYSTEM_SCHEDULER } from "../../src/base/index.ts";
import {
  createPeerNetwork,
  type MessageCodec,
  type NodeIntroduction,
  PEER_DEFAULTS,
  type PeerAnswer,
  type PeerHandler,
  type PeerModules,
  type PeerOptions,
  type PeerRequest,
  type PeerSockets,
  TCP_SOCKETS,
  type TcpPeerNetwork,
} from "../../src/cluster/index.ts";
import { MESSAGE_CODEC } from "../../src/raft/codec/index.ts";
import { type Member, type Message, MESSAGE, type NodeId } from "../../src/raft/index.ts";
import { untilTrue } from "../support/until.ts";

export const CODEC: MessageCodec = MESSAGE_CODEC;

/** Quick where a test waits for it, and patient where a busy machine would seem to be a peer that is gone. */
export const QUICK: Omit<PeerOptions, "introduction"> = {
  ...PEER_DEFAULTS,
  listenHost: "127.0.0.1",
  listenPort: 0,
  dialTimeoutMs: 60_000,
  handshakeTimeoutMs: 60_000,
  redialMinMs: 5,
  redialMaxMs: 50,
  steadyMs: 20,
  pingIntervalMs: 20,
  silentPingsMax: 3_000,
  lostPingsMax: 3_000,
};

/** The sockets of one node: all of them can be torn at once, and none comes about until the wire is mended. */
export class NodeSockets implements PeerSockets {
  readonly #open = new Set<Socket>();
  #isCut = false;

  connect(target: { readonly ip: string; readonly port: number; readonly host: string }): Socket {
    // Nobody listens on port 1.
    return this.#add(TCP_SOCKETS.connect(this.#isCut ? { ...target, port: 1 } : target));
  }

  createServer(onConnection: (socket: Socket) => void): Server {
    return TCP_SOCKETS.createServer((socket) => {
      if (this.#isCut) socket.destroy();
      else onConnection(this.#add(socket));
    });
  }

  get openCount(): number {
    return this.#open.size;
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#open) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  #add(socket: Socket): Socket {
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
    return socket;
  }
}

let boots = 0;

export function introductionOf(id: string, more: Partial<NodeIntroduction> = {}): NodeIntroduction {
  boots += 1;
  return {
    clusterId: "c1",
    nodeId: id,
    serverId: `server-${id}`,
    addresses: { peer: "", http: "", websocket: "" },
    version: "0.0.0",
    bootNonce: boots.toString(16).padStart(16, "0"),
    ...more,
  };
}

export interface NodeSettings {
  readonly introduction?: Partial<NodeIntroduction>;
  readonly options?: Partial<PeerOptions>;
  readonly modules?: Partial<PeerModules>;
}

/** A line of the log: message and fields. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export class TestNode {
  readonly id: NodeId;
  readonly network: TcpPeerNetwork;
  readonly sockets = new NodeSockets();
  readonly messages: Message[] = [];
  readonly unreachable: NodeId[] = [];
  readonly requests: PeerRequest[] = [];
  readonly introduced: NodeIntroduction[] = [];
  readonly lines: LogLine[] = [];
  introduction: NodeIntroduction;
  port = 0;
  /** How requests are answered; an echo at first. */
  onRequest: PeerHandler["onRequest"] = (request, answer) =>
    answer({ ok: true, body: request.body });

  constructor(id: NodeId, { introduction, options, modules }: NodeSettings = {}) {
    this.id = id;
    this.introduction = introductionOf(id, introduction);
    const prng = new Prng(id.charCodeAt(0));
    this.network = createPeerNetwork(
      { ...QUICK, introduction: this.introduction, ...options },
      {
        codec: CODEC,
        scheduler: SYSTEM_SCHEDULER,
        random: () => prng.nextU32(),
        logger: this.#logger(),
        sockets: this.sockets,
        ...modules,
      },
    );
    this.network.setHandler({
      onMessage: (message) => this.messages.push(message),
      onUnreachable: (peer) => this.unreachable.push(peer),
      onRequest: (request, answer) => {
        this.requests.push(request);
        this.onRequest(request, answer);
      },
      onIntroduced: (peer) => this.introduced.push(peer),
    });
  }

  static async start(id: NodeId, settings: NodeSettings = {}): Promise<TestNode> {
    const node = new TestNode(id, settings);
    node.port = await node.network.listen();
    node.introduce({ addresses: { ...node.introduction.addresses, peer: node.address } });
    return node;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get member(): Member {
    return { id: this.id, serverId: this.introduction.serverId, address: this.address };
  }

  introduce(change: Partial<NodeIntroduction>): void {
    this.introduction = { ...this.introduction, ...change };
    this.network.introduce(this.introduction);
  }

  isConnectedTo(other: NodeId): boolean {
    return this.network.peers().some(({ nodeId, isConnected }) => nodeId === other && isConnected);
  }

  problemOf(other: NodeId): string | null {
    return this.network.peers().find(({ nodeId }) => nodeId === other)?.problem ?? null;
  }

  ask(
    target: TestNode | string,
    body = new Uint8Array(0),
    timeoutMs = 60_000,
  ): Promise<PeerAnswer> {
    const whom = typeof target === "string" ? { address: target } : { nodeId: target.id };
    return this.network.request(whom, 1, body, { timeoutMs });
  }

  linesWith(reason: string): readonly LogLine[] {
    return this.lines.filter(({ fields }) => fields.reason === reason);
  }

  #logger(): PeerModules["logger"] {
    const line =
      (level: string) =>
      (message: string, fields = {}) => {
        this.lines.push({ level, message, fields });
      };
    return { ...SILENT_LOGGER, info: line("info"), warn: line("warn"), error: line("error") };
  }
}

/** Members of each other, all connected. */
export async function startMesh(
  ids: readonly NodeId[],
  settings: NodeSettings = {},
): Promise<TestNode[]> {
  const nodes = await Promise.all(ids.map((id) => TestNode.start(id, settings)));
  await joinMesh(nodes);
  return nodes;
}

export async function joinMesh(nodes: readonly TestNode[]): Promise<void> {
  const members = nodes.map(({ member }) => member);
  for (const node of nodes) node.network.setMembers(members);
  await untilTrue(() => nodes.every((node) => isFullyConnected(node, nodes)));
}

export function isFullyConnected(node: TestNode, nodes: readonly TestNode[]): boolean {
  return nodes.every((other) => other === node || node.isConnectedTo(other.id));
}

export async function closeAll(nodes: readonly TestNode[]): Promise<void> {
  await Promise.all(nodes.map(({ network }) => network.close()));
}

export function heartbeat(from: NodeId, to: NodeId, commitIndex = 0): Message {
  return { kind: MESSAGE.heartbeat, from, to, term: 1, commitIndex, readRound: 0 };
}

export function errorOf(answer: PeerAnswer): HearthError {
  if (answer.ok) throw new Error("The request has succeeded");
  return answer.error;
}

/** A bare socket to a node, for those who do not play by the rules. */
export async function dial(node: TestNode): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port: node.port });
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket;
}
