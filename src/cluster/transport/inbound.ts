/** The peer port: connections of others, until they have said who they are. */

import type { Server, Socket } from "node:net";
import { listenFailed, wordsOf } from "../errors.ts";
import type { Hello } from "../frames/hello.ts";
import { PEER_LIMITS } from "../limits.ts";
import { Channel } from "./channel.ts";
import type { TransportContext } from "./context.ts";
import { Handshake } from "./handshake.ts";
import { judgeHello, type PeerRefusal } from "./judge.ts";

export interface InboundOwner {
  /** Whether the connection stays, as far as the network knows; null: welcome. */
  judge(hello: Hello): PeerRefusal | null;
  /** Hands the channel over before it returns. */
  onWelcome(channel: Channel, hello: Hello): void;
}

export class Inbound {
  readonly #context: TransportContext;
  readonly #owner: InboundOwner;
  readonly #handshakes = new Set<Handshake>();
  #server: Server | null = null;
  #open = 0;

  constructor(context: TransportContext, owner: InboundOwner) {
    this.#context = context;
    this.#owner = owner;
  }

  /** Resolves with the port. Errors: HearthError unavailable, with the address and the reason. */
  listen(): Promise<number> {
    const { listenHost, listenPort } = this.#context.options;
    const server = this.#context.sockets.createServer((socket) => this.#accept(socket));
    this.#server = server;
    return new Promise((resolve, reject) => {
      // Also later: connections that cannot be accepted (too many open files) are reported here, too.
      server.on("error", (error) => {
        this.#context.logger.error("peer port", { detail: wordsOf(error) });
        reject(listenFailed(listenHost, listenPort, error));
      });
      const target =
        listenHost === "" ? { port: listenPort } : { port: listenPort, host: listenHost };
      server.listen(target, () => {
        const address = server.address();
        resolve(typeof address === "object" && address !== null ? address.port : listenPort);
      });
    });
  }

  /** Resolves when the port is closed and every connection that came through it has ended. */
  close(): Promise<void> {
    const server = this.#server;
    for (const handshake of [...this.#handshakes]) {
      handshake.cancel({ reason: "closing", text: "this node is shutting down" });
    }
    this.#handshakes.clear();
    if (server === null) return Promise.resolve();
    return new Promise((resolve) => server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    const { stats, options, scheduler, incarnations } = this.#context;
    stats.accepted += 1;
    const { handshakesMax, inboundMax } = PEER_LIMITS;
    if (this.#handshakes.size >= handshakesMax || this.#open >= inboundMax) {
      const detail = `${this.#handshakes.size} have not said hello, ${this.#open} are open`;
      const remote = `${socket.remoteAddress ?? "unknown"}:${socket.remotePort ?? 0}`;
      this.#context.refusals.note("too_many_connections", remote, { detail });
      socket.on("error", () => {});
      socket.destroy();
      return;
    }
    this.#open += 1;
    socket.once("close", () => {
      this.#open -= 1;
    });
    const judge = (hello: Hello): PeerRefusal | null =>
      judgeHello(hello, { own: this.#context.own, incarnations, expected: "" }) ??
      this.#owner.judge(hello);
    const timeoutMs = options.handshakeTimeoutMs;
    const handshake = new Handshake({ timeoutMs }, { scheduler, judge }, (result, channel) => {
      this.#handshakes.delete(handshake);
      if (result.ok) this.#owner.onWelcome(channel, result.hello);
      else if (result.refusal !== null) this.#note(result.refusal, channel);
    });
    this.#handshakes.add(handshake);
    handshake.begin(new Channel(socket, options, { stats, scheduler }, handshake));
  }

  #note({ reason, text }: PeerRefusal, { remote }: Channel): void {
    // Both sides dialled at once: everyday, not worth a line.
    if (reason === "duplicate") this.#context.stats.refused.duplicate += 1;
    else this.#context.refusals.note(reason, remote, { detail: text });
  }
}
