/**
 * Decides which connection a call takes. Reads go to whichever member we are connected to; a write goes there too,
 * until a member says who leads. From then on writes take a second connection, to the leader, as long as that holds.
 */
import type { HearthError, LeaderHint } from "../base/index.ts";
import type { Call } from "./call.ts";
import type { Connection } from "./connection.ts";
import { publishConnection } from "./diagnostics.ts";
import { normalizeEndpoint } from "./endpoint.ts";
import { connectionLost } from "./errors.ts";
import { Link, type LinkListener } from "./link.ts";
import type { ClientOptions } from "./options.ts";
import type { StatusFeed } from "./status-feed.ts";
import type { ConnectionStatus } from "./types.ts";

export class Router {
  /** The connection to any member. */
  readonly primary: Link;
  readonly #options: ClientOptions;
  readonly #status: StatusFeed;
  #leader: LeaderHint | null = null;
  #leaderLink: Link | null = null;
  /** The present one and former ones that still have open requests. */
  readonly #leaderLinks = new Set<Link>();
  #isClosed = false;

  constructor(options: ClientOptions, modules: { readonly status: StatusFeed }) {
    this.#options = options;
    this.#status = modules.status;
    const listener: LinkListener = {
      onStatus: (status) => this.#publish(status),
      onGone: () => {},
    };
    const settings = { endpoints: options.endpoints, isPersistent: true };
    this.primary = new Link(settings, { options, listener });
  }

  /**
   * The connection for a call, waited for if there is none.
   *
   * Errors: `unavailable` with reason no_connection after maxWaitForConnectionMs.
   */
  connectionFor(call: Call, isForLeader: boolean): Connection | Promise<Connection> {
    const link = (isForLeader ? this.#leaderLink : null) ?? this.primary;
    const { ready } = link;
    if (ready !== null) return ready;
    const waitMs = this.#options.maxWaitForConnectionMs;
    return call.wait<Connection>((settle) => link.whenReady(waitMs, settle));
  }

  /** Follows a member's word on who leads; returns whether a next attempt would take another way than `from`. */
  follow(leader: LeaderHint, from: string): boolean {
    const endpoint = tryNormalize(leader.address);
    if (endpoint === null || this.#isClosed) return false;
    if (this.#leader?.id !== leader.id || this.#leader.address !== leader.address) {
      this.#leader = leader;
      this.#publish({ kind: "leaderChanged", leader });
      this.#openLeaderLink(endpoint);
    } else if (this.#leaderLink === null) {
      this.#openLeaderLink(endpoint);
    }
    return endpoint !== from;
  }

  /** Ends all connections; resolves when their sockets are closed. */
  async close(error: HearthError): Promise<void> {
    this.#isClosed = true;
    const links = [this.primary, ...this.#leaderLinks];
    await Promise.all(links.map((link) => link.close(error)));
  }

  #openLeaderLink(endpoint: string): void {
    this.#leaderLink?.retire(connectionLost(endpoint, "another member leads now"));
    this.#leaderLink = null;
    if (this.primary.ready?.endpoint === endpoint) return;
    const listener: LinkListener = {
      // The status of a client is that of its first connection; this one comes and goes with the leader.
      onStatus: () => {},
      onGone: (link) => {
        this.#leaderLinks.delete(link);
        if (this.#leaderLink === link) this.#leaderLink = null;
      },
    };
    const settings = { endpoints: [endpoint], isPersistent: false };
    const link = new Link(settings, { options: this.#options, listener });
    this.#leaderLink = link;
    this.#leaderLinks.add(link);
    link.start();
  }

  #publish(status: ConnectionStatus): void {
    this.#status.publish(status);
    publishConnection(status);
  }
}

function tryNormalize(address: string): string | null {
  try {
    return normalizeEndpoint(address);
  } catch {
    return null;
  }
}
