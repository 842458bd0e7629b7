/**
 * TCP proxies in front of the peer ports, one per node, that can cut and slow every directed link between two nodes.
 *
 *   node-1 --dials--> [proxy of node-2] ----> node-2        link node-1 -> node-2: what goes to the right
 *                                                           link node-2 -> node-1: what comes back on it
 *
 * Who dials is read from the hello, which names the sender in plain JSON. A cut link is a black hole: nothing is
 * refused or closed, bytes wait here, also those of connections that are opened meanwhile. When it is mended, its
 * connections either go on with what has waited, late, or are broken off, as a real network may do both.
 */

import { connect, createServer, type Server, type Socket } from "node:net";

/** Where the sender's name stands in the first bytes of a connection (src/cluster/frames/hello.ts). */
const SENDER = /"server":"([^"\\]{1,256})"/;
/** Who has not said its name after that many bytes is no member. */
const HELLO_MAX_BYTES = 16 * 1024;
const STRANGER = "";

interface LinkState {
  isCut: boolean;
  delayMs: number;
}

export class PeerProxies {
  readonly #servers: Server[] = [];
  readonly #routes = new Set<Route>();
  readonly #links = new Map<string, LinkState>();
  /** Connections whose sender was recognised, since the start. */
  connections = 0;
  /** Pieces of a stream that had to wait for a cut link. */
  heldChunks = 0;

  /** For TestClusterOptions.openProxy. */
  readonly open = async (serverId: string, peerPort: number): Promise<number> => {
    const server = createServer((dialer) => this.#accept(dialer, serverId, peerPort));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.#servers.push(server);
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("No port was given");
    return address.port;
  };

  /** Bytes from one node to the other wait until the link is mended. */
  cut(from: string, to: string): void {
    this.#link(from, to).isCut = true;
  }

  /** Both directions between each of `a` and each of `b`. */
  split(a: readonly string[], b: readonly string[]): void {
    for (const one of a) {
      for (const other of b) {
        this.cut(one, other);
        this.cut(other, one);
      }
    }
  }

  /** Bytes from one node to the other arrive that much later, in order. */
  slow(from: string, to: string, delayMs: number): void {
    this.#link(from, to).delayMs = delayMs;
  }

  /** Every link is whole and quick again. `late`: what has waited arrives now; `broken`: its connections end. */
  mend(how: "late" | "broken"): void {
    const cut = new Set([...this.#links].filter(([, { isCut }]) => isCut).map(([name]) => name));
    for (const link of this.#links.values()) {
      link.isCut = false;
      link.delayMs = 0;
    }
    for (const route of this.#routes) {
      if (how === "broken" && route.uses(cut)) route.end();
      else route.flush();
    }
  }

  async close(): Promise<void> {
    for (const route of this.#routes) route.end();
    await Promise.all(
      this.#servers.map((server) => new Promise((resolve) => server.close(resolve))),
    );
  }

  #link(from: string, to: string): LinkState {
    const name = linkName(from, to);
    const known = this.#links.get(name);
    if (known !== undefined) return known;
    const fresh = { isCut: false, delayMs: 0 };
    this.#links.set(name, fresh);
    return fresh;
  }

  #accept(dialer: Socket, serverId: string, peerPort: number): void {
    const route = new Route(dialer, connect(peerPort, "127.0.0.1"), {
      target: serverId,
      link: (from, to) => this.#link(from, to),
      onNamed: () => {
        this.connections += 1;
      },
      onHeld: () => {
        this.heldChunks += 1;
      },
      onEnd: () => this.#routes.delete(route),
    });
    this.#routes.add(route);
  }
}

function linkName(from: string, to: string): string {
  return `${from}>${to}`;
}

interface RouteModules {
  /** Name of the node behind the proxy. */
  readonly target: string;
  readonly link: (from: string, to: string) => LinkState;
  readonly onNamed: () => void;
  readonly onHeld: () => void;
  readonly onEnd: () => void;
}

/** One connection through a proxy: two sockets, a stream in each direction. */
class Route {
  readonly #modules: RouteModules;
  readonly #dialer: Socket;
  readonly #target: Socket;
  readonly #forth: Stream;
  readonly #back: Stream;
  #sender: string | null = null;
  #greeting = "";
  #hasEnded = false;

  constructor(dialer: Socket, target: Socket, modules: RouteModules) {
    this.#modules = modules;
    this.#dialer = dialer;
    this.#target = target;
    this.#forth = new Stream(dialer, target, () => this.#linkOf("forth"), modules.onHeld);
    this.#back = new Stream(target, dialer, () => this.#linkOf("back"), modules.onHeld);
    dialer.on("data", (chunk: Buffer) => {
      this.#learn(chunk);
      this.#forth.push(chunk);
    });
    target.on("data", (chunk: Buffer) => this.#back.push(chunk));
    for (const socket of [dialer, target]) {
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => this.#onClose());
    }
  }

  uses(links: ReadonlySet<string>): boolean {
    const { target } = this.#modules;
    const sender = this.#sender ?? STRANGER;
    return links.has(linkName(sender, target)) || links.has(linkName(target, sender));
  }

  /** Lets go what may go now. */
  flush(): void {
    this.#forth.flush();
    this.#back.flush();
    if (this.#dialer.destroyed || this.#target.destroyed) this.#onClose();
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#dialer.destroy();
    this.#target.destroy();
    this.#modules.onEnd();
  }

  /** Null: nothing may pass before the sender is known. */
  #linkOf(direction: "forth" | "back"): LinkState | null {
    if (this.#sender === null) return null;
    const { link, target } = this.#modules;
    return direction === "forth" ? link(this.#sender, target) : link(target, this.#sender);
  }

  #learn(chunk: Buffer): void {
    if (this.#sender !== null) return;
    this.#greeting += chunk.toString("latin1");
    const name = SENDER.exec(this.#greeting)?.[1];
    if (name === undefined && this.#greeting.length < HELLO_MAX_BYTES) return;
    this.#sender = name ?? STRANGER;
    this.#greeting = "";
    if (name !== undefined) this.#modules.onNamed();
    this.#back.flush();
  }

  /** The end of a connection does not pass a cut link either. */
  #onClose(): void {
    const isCut = this.#linkOf("forth")?.isCut === true || this.#linkOf("back")?.isCut === true;
    if (!isCut) this.end();
  }
}

/** Bytes that wait beyond this stop the sender, as a full socket would. */
const WAITING_MAX_BYTES = 1024 * 1024;

interface Waiting {
  readonly chunk: Buffer;
  readonly dueAtMs: number;
}

/** One direction of a connection, in order. */
class Stream {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #link: () => LinkState | null;
  readonly #onHeld: () => void;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, link: () => LinkState | null, onHeld: () => void) {
    this.#from = from;
    this.#to = to;
    this.#link = link;
    this.#onHeld = onHeld;
    to.on("drain", () => this.#relieve());
  }

  push(chunk: Buffer): void {
    const delayMs = this.#link()?.delayMs ?? 0;
    this.#waiting.push({ chunk, dueAtMs: performance.now() + delayMs });
    this.#waitingBytes += chunk.length;
    if (this.#link()?.isCut === true) this.#onHeld();
    this.flush();
  }

  flush(): void {
    const link = this.#link();
    const nowMs = performance.now();
    while (link !== null && !link.isCut) {
      const first = this.#waiting[0];
      if (first === undefined) break;
      if (first.dueAtMs > nowMs && link.delayMs > 0) {
        this.#wakeIn(first.dueAtMs - nowMs);
        break;
      }
      this.#waiting.shift();
      this.#waitingBytes -= first.chunk.length;
      if (!this.#to.destroyed) this.#to.write(first.chunk);
    }
    if (this.#isFull()) this.#from.pause();
    else this.#relieve();
  }

  #isFull(): boolean {
    return this.#waitingBytes > WAITING_MAX_BYTES || this.#to.writableNeedDrain;
  }

  #relieve(): void {
    if (!this.#isFull() && this.#from.isPaused()) this.#from.resume();
  }

  #wakeIn(durationMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), durationMs);
  }
}
