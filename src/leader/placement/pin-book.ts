/** The pins in the bucket: read with each cycle, changed by the leader alone, one change after the other. */

import { isHearthError, type Logger } from "../../base/index.ts";
import type { CallOptions, ObjectStore } from "../../storage/index.ts";
import { PLACEMENT_KEYS } from "./objects.ts";
import { decodePins, encodePins, type Pin, PinSet } from "./pins.ts";

export type PinChange =
  | { readonly kind: "pin"; readonly pin: Pin }
  | { readonly kind: "unpin"; readonly tenant: string; readonly dataset: string };

export interface PinBookModules {
  readonly store: Pick<ObjectStore, "get" | "put">;
  readonly confirmLeadership: () => Promise<void>;
  readonly logger: Logger;
}

/** A thousand of the longest pins. */
const PINS_MAX_BYTES = 4 * 1024 * 1024;

export class PinBook {
  readonly #modules: PinBookModules;
  #changing: Promise<unknown> = Promise.resolve();
  #last = new PinSet();
  /** The last one that was told of. */
  #problem = "";

  constructor(modules: PinBookModules) {
    this.#modules = modules;
  }

  /** Errors: those of the store; `bad_placement_object`. */
  async read(options: CallOptions): Promise<PinSet> {
    const getOptions = { ...options, maxBytes: PINS_MAX_BYTES };
    const found = await this.#modules.store.get(PLACEMENT_KEYS.pins, getOptions);
    const pins = found === null ? new PinSet() : decodePins(found);
    this.#last = pins;
    this.#problem = "";
    return pins;
  }

  /** For a cycle: pins that cannot be read are those that could be read last, so that nothing moves. Errors: those of the store. */
  async readOrLast(options: CallOptions): Promise<PinSet> {
    try {
      return await this.read(options);
    } catch (error) {
      if (!isHearthError(error) || error.reason !== "bad_placement_object") throw error;
      if (error.message !== this.#problem) {
        this.#problem = error.message;
        this.#modules.logger.warn("pins of the placement stay as they were", {
          problem: error.message,
        });
      }
      return this.#last;
    }
  }

  /** Errors: `bad_pin`, `too_many_pins`. */
  changed(pins: PinSet, change: PinChange): PinSet {
    if (change.kind === "pin") return pins.with(change.pin);
    return pins.without(change.tenant, change.dataset);
  }

  /** Resolves with false when the pins say so already. Errors: as `read` and `changed`, and those of a leadership lost. */
  async change(change: PinChange, options: CallOptions): Promise<boolean> {
    const work = this.#changing.then(() => this.#change(change, options));
    this.#changing = work.catch(() => {});
    return work;
  }

  async #change(change: PinChange, options: CallOptions): Promise<boolean> {
    const pins = await this.read(options);
    if (isThere(pins, change)) return false;
    const bytes = encodePins(this.changed(pins, change));
    await this.#modules.confirmLeadership();
    await this.#modules.store.put(PLACEMENT_KEYS.pins, bytes, options);
    return true;
  }
}

/** Repeating a command is harmless. */
function isThere(pins: PinSet, change: PinChange): boolean {
  if (change.kind === "unpin") return pins.get(change.tenant, change.dataset) === null;
  const { tenant, dataset, shards, loadBalancing } = change.pin;
  const known = pins.get(tenant, dataset);
  return known !== null && known.shards === shards && known.loadBalancing === loadBalancing;
}
