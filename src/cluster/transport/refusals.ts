/**
 * Refusals are counted always, and logged once per reason and place in a while: whoever knocks with garbage all day
 * must not fill the disk with words.
 */

import type { LogFields, Logger, Scheduler } from "../../base/index.ts";
import { PEER_LIMITS } from "../limits.ts";
import type { PeerNetworkStats, RefusalReason } from "../metrics.ts";

interface Entry {
  loggedAtMs: number;
  heldBack: number;
}

export class Refusals {
  readonly #stats: PeerNetworkStats;
  readonly #logger: Logger;
  readonly #scheduler: Scheduler;
  readonly #intervalMs: number;
  readonly #entries = new Map<string, Entry>();

  constructor(
    options: { readonly refusalLogMs: number },
    modules: {
      readonly stats: PeerNetworkStats;
      readonly logger: Logger;
      readonly scheduler: Scheduler;
    },
  ) {
    this.#intervalMs = options.refusalLogMs;
    this.#stats = modules.stats;
    this.#logger = modules.logger;
    this.#scheduler = modules.scheduler;
  }

  /** `remote` is address:port; ports of dialers differ every time, so the place is the address alone. */
  note(reason: RefusalReason, remote: string, fields: LogFields): void {
    this.#stats.refused[reason] += 1;
    const nowMs = this.#scheduler.monotonicMs();
    const key = `${reason} ${remote.slice(0, remote.lastIndexOf(":"))}`;
    const entry = this.#entries.get(key);
    if (entry !== undefined && nowMs - entry.loggedAtMs < this.#intervalMs) {
      entry.heldBack += 1;
      return;
    }
    const heldBack = entry?.heldBack ?? 0;
    this.#remember(key, { loggedAtMs: nowMs, heldBack: 0 });
    this.#logger.warn("peer refused", { reason, remote, ...fields, heldBack });
  }

  #remember(key: string, entry: Entry): void {
    this.#entries.delete(key);
    if (this.#entries.size >= PEER_LIMITS.refusalKeysMax) {
      this.#entries.delete(this.#entries.keys().next().value as string);
    }
    this.#entries.set(key, entry);
  }
}
