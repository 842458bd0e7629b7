/**
 * Names to addresses, anew for every dial: addresses of pods and virtual machines change under their names.
 *
 * When the name servers fail, the addresses of the last success are used: a member that was reachable stays so.
 */

import { isIP } from "node:net";
import type { LookUpHost } from "../sockets.ts";

/** Names whose last addresses are remembered; a cluster has far fewer members. */
const REMEMBERED_MAX = 1_024;

export class HostNames {
  readonly #lookUp: LookUpHost;
  readonly #concurrencyMax: number;
  readonly #known = new Map<string, readonly string[]>();
  readonly #pending = new Map<string, Promise<readonly string[]>>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(lookUp: LookUpHost, concurrencyMax: number) {
    this.#lookUp = lookUp;
    this.#concurrencyMax = concurrencyMax;
  }

  /** Errors: what the look-up reports, when the host has never been found. */
  resolve(host: string): Promise<readonly string[]> {
    if (isIP(host) !== 0) return Promise.resolve([host]);
    const pending = this.#pending.get(host) ?? this.#start(host);
    return pending;
  }

  /** Addresses of the last success, for a dial whose look-up takes too long. */
  lastKnown(host: string): readonly string[] | null {
    return this.#known.get(host) ?? null;
  }

  /** Dials of one name share a look-up: it cannot be cancelled, and must not pile up. */
  #start(host: string): Promise<readonly string[]> {
    const pending = this.#run(host).finally(() => this.#pending.delete(host));
    this.#pending.set(host, pending);
    return pending;
  }

  async #run(host: string): Promise<readonly string[]> {
    if (this.#running >= this.#concurrencyMax) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#running += 1;
    try {
      const found = await this.#lookUp(host);
      if (found.length === 0) throw new Error("the name has no address");
      this.#remember(host, found);
      return found;
    } catch (error) {
      const known = this.#known.get(host);
      if (known === undefined) throw error;
      return known;
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  #remember(host: string, found: readonly string[]): void {
    this.#known.delete(host);
    if (this.#known.size >= REMEMBERED_MAX) {
      this.#known.delete(this.#known.keys().next().value as string);
    }
    this.#known.set(host, found);
  }
}
