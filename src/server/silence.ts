/** Peers that say nothing: when they are pinged, and when they are given up. The same for every WebSocket library. */

import type { Logger } from "../base/index.ts";
import type { ListenerEvents } from "./listener.ts";

/** For how many intervals one peer has said nothing. Any message ends its silence, an answer to a ping included. */
export class Silence {
  #intervals = 0;

  end(): void {
    this.#intervals = 0;
  }

  /** Another interval is over. Two whole ones of silence, of which the second began with a ping, are the end. */
  pass(): "wait" | "ping" | "drop" {
    this.#intervals++;
    if (this.#intervals > 2) return "drop";
    return this.#intervals > 1 ? "ping" : "wait";
  }
}

/** A connection whose peer is pinged. Both calls do nothing once it is closed. */
export interface PingedConnection {
  readonly remoteAddress: string;
  readonly silence: Silence;
  ping(): void;
  /** Without a farewell: it would queue behind what the peer does not read. */
  drop(): void;
}

export interface PingModules {
  /** The open ones. */
  readonly connections: ReadonlySet<PingedConnection>;
  readonly events: ListenerEvents;
  readonly logger: Logger;
}

/** Looks at all connections once per interval; 0 = never, and null. The timer is no reason to stay alive. */
export function startPings(intervalMs: number, modules: PingModules): NodeJS.Timeout | null {
  if (intervalMs <= 0) return null;
  const { connections, events, logger } = modules;
  const look = (): void => {
    for (const connection of [...connections]) {
      const next = connection.silence.pass();
      if (next === "ping") connection.ping();
      if (next !== "drop") continue;
      connection.drop();
      events.rejected("idle_peer");
      logger.debug("dropped a silent connection", { remote: connection.remoteAddress });
    }
  };
  return setInterval(look, intervalMs).unref();
}
