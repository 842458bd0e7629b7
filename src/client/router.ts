/**
 * Decides which connection a call takes. Reads go to whichever member we are connected to; so do writes, until a member
 * says who leads. From then on writes take a second connection, to the leader, while there is one.
 */
import { type HearthError, isHearthError, type LeaderHint } from "../base/index.ts";
import type { Call } from "./call.ts";
import type { Connection } from "./connection.ts";
import { publishConnection } from "./diagnostics.ts";
import { LeaderWay } from "./leader-way.ts";
import { LEADER_HOPS_MAX } from "./limits.ts";
import { Link, type LinkListener } from "./link.ts";
import type { ClientOptions } from "./options.ts";
import type { StatusFeed } from "./status-feed.ts";
import type { ConnectionStatus } from "./types.ts";

export class Router {
  /** The connection to any member. */
  readonly primary: Link;
  readonly #options: ClientOptions;
  readonly #status: StatusFeed;
  readonly #leaderWay: LeaderWay;

  constructor(options: ClientOptions, modules: { readonly status: StatusFeed }) {
    this.#options = options;
    this.#status = modules.status;
    this.#leaderWay = new LeaderWay(options, {
      primary: () => this.primary.ready,
      onChanged: (leader) => this.#publish({ kind: "leaderChanged", leader }),
    });
    const listener: LinkListener = {
      onStatus: (status) => this.#publish(status),
      onReady: (connection) => this.#leaderWay.primaryChanged(connection),
      onLeader: (word, connection) => this.#leaderWay.learn(word, connection.endpoint),
      onGone: () => {},
    };
    const settings = { endpoints: options.endpoints, isPersistent: true, check: null };
    this.primary = new Link(settings, { options, listener });
  }

  /**
   * The connection for a call, waited for if there is none.
   *
   * Errors: `unavailable` with reason no_connection after maxWaitForConnectionMs.
   */
  connectionFor(call: Call, isForLeader: boolean): Connection | Promise<Connection> {
    const primary = this.primary.ready;
    if (isForLeader) {
      const { ready, opening } = this.#leaderWay;
      // Where it failed a moment ago, another member may know better.
      if (ready !== null && (primary === null || !hasJustTried(call, ready))) return ready;
      const isToWait = call.leaderHops > 0 && call.leaderHops <= LEADER_HOPS_MAX;
      if (ready === null && opening !== null && isToWait) return this.#whenOpen(call, opening);
    }
    return primary ?? this.#wait(call, this.primary);
  }

  /** Follows a member's refusal to who leads; returns whether a next attempt would take another way than `from`. */
  follow(leader: LeaderHint, from: string): boolean {
    this.#leaderWay.learn({ ...leader, term: 0 }, from);
    return this.#leaderWay.leadsElsewhere(leader, from);
  }

  /** Ends all connections; resolves when their sockets are closed. */
  async close(error: HearthError): Promise<void> {
    await Promise.all([this.primary.close(error), this.#leaderWay.close(error)]);
  }

  /** The first connection has just said that it cannot: only if there is no other way it is asked again. */
  async #whenOpen(call: Call, link: Link): Promise<Connection> {
    try {
      return await this.#wait(call, link);
    } catch (error) {
      const isTooLate = isHearthError(error) && error.reason === "no_connection";
      const primary = this.primary.ready;
      if (!isTooLate || primary === null) throw error;
      return primary;
    }
  }

  #wait(call: Call, link: Link): Promise<Connection> {
    const waitMs = this.#options.maxWaitForConnectionMs;
    return call.wait<Connection>((settle) => link.whenReady(waitMs, settle));
  }

  #publish(status: ConnectionStatus): void {
    this.#status.publish(status);
    publishConnection(status);
  }
}

/** The attempt before this one was made there. */
function hasJustTried(call: Call, { endpoint }: Connection): boolean {
  return call.attempts > 1 && call.endpoint === endpoint;
}
