/** Requests that wait for a connection. Bounded; each is told once. */

import { peerUnavailable, type Problem, tooManyRequests } from "../errors.ts";
import { PEER_LIMITS } from "../limits.ts";
import type { PeerConnection } from "./connection.ts";
import type { Exchange } from "./exchange.ts";

export class Waiters {
  readonly #exchanges = new Set<Exchange>();

  get isEmpty(): boolean {
    return this.#exchanges.size === 0;
  }

  add(exchange: Exchange): void {
    if (exchange.isSettled) return;
    const { requestsMax } = PEER_LIMITS;
    if (this.#exchanges.size >= requestsMax) {
      exchange.fail(tooManyRequests(exchange.peer, `${requestsMax} wait for a connection`));
      return;
    }
    this.#exchanges.add(exchange);
    exchange.waitIn(() => this.#exchanges.delete(exchange));
  }

  askAll(connection: PeerConnection): void {
    for (const exchange of this.#take()) connection.ask(exchange);
  }

  failAll(problem: Problem): void {
    for (const exchange of this.#take()) {
      exchange.fail(peerUnavailable(exchange.peer, problem, "no"));
    }
  }

  #take(): Exchange[] {
    const taken = [...this.#exchanges];
    this.#exchanges.clear();
    return taken;
  }
}
