/** A wire that can be cut: forwards connections to a port, until it is told to hold bytes back or to break. */

import { connect, createServer, type Server, type Socket } from "node:net";

export class Wire {
  readonly #server: Server;
  readonly #target: () => number;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  /** From the dialling side to the target, and back: bytes are swallowed while true. */
  holdsForward = false;
  holdsBackward = false;
  /** New connections are closed at once. */
  refuses = false;
  port = 0;

  constructor(target: () => number) {
    this.#target = target;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  static async open(target: () => number): Promise<Wire> {
    const wire = new Wire(target);
    await new Promise<void>((resolve) => wire.#server.listen(0, "127.0.0.1", resolve));
    wire.port = (wire.#server.address() as { port: number }).port;
    return wire;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Every connection breaks, and none comes about, until `mend`. */
  cut(): void {
    this.refuses = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  /** The wire does not take bytes any more; those who send find out by their own queues. */
  pause(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  mend(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
    this.refuses = false;
    this.holdsForward = false;
    this.holdsBackward = false;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(near: Socket): void {
    near.on("error", () => {});
    if (this.refuses) {
      near.destroy();
      return;
    }
    const far = connect({ host: "127.0.0.1", port: this.#target(), noDelay: true });
    far.on("error", () => {});
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    near.on("data", (bytes) => {
      if (!this.holdsForward) far.write(bytes);
    });
    far.on("data", (bytes) => {
      if (!this.holdsBackward) near.write(bytes);
    });
    const end = (): void => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    near.on("close", end);
    far.on("close", end);
  }
}
