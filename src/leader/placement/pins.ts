/**
 * Pins: what an operator has decided for a dataset, whatever its load says.
 *
 * They are an object in the bucket beside the rules that they change: whoever makes the rules needs that bucket anyway, and a
 * metastore that is rebuilt or replaced finds them there. JSON, since people may want to read it.
 */

import { HearthError } from "../../base/index.ts";
import { LOAD_BALANCING, type LoadBalancing } from "../../protocol/index.ts";
import { PLACEMENT_BOUNDS } from "./limits.ts";
import { compareTexts } from "./order.ts";

export type PinnedBalancing = "fingerprint" | "round-robin";

export interface Pin {
  readonly tenant: string;
  readonly dataset: string;
  readonly shards: number;
  /** Null: decided by the load, as without a pin. */
  readonly loadBalancing: PinnedBalancing | null;
  /** Unix ms. */
  readonly pinnedAtMs: number;
}

const SCHEMA = "hearth/placement-pins/v1";

const WIRE: Readonly<Record<PinnedBalancing, LoadBalancing>> = {
  fingerprint: LOAD_BALANCING.fingerprint,
  "round-robin": LOAD_BALANCING.roundRobin,
};

export class PinSet {
  readonly #byTenant = new Map<string, Map<string, Pin>>();

  constructor(pins: readonly Pin[] = []) {
    for (const pin of pins) {
      const datasets = this.#byTenant.get(pin.tenant) ?? new Map<string, Pin>();
      datasets.set(pin.dataset, pin);
      this.#byTenant.set(pin.tenant, datasets);
    }
  }

  get(tenant: string, dataset: string): Pin | null {
    return this.#byTenant.get(tenant)?.get(dataset) ?? null;
  }

  /** By tenant, then dataset. */
  list(): Pin[] {
    return [...this.#byTenant.values()]
      .flatMap((datasets) => [...datasets.values()])
      .sort((a, b) => compareTexts(a.tenant, b.tenant) || compareTexts(a.dataset, b.dataset));
  }

  /** A set with this pin in the place of one that may be there. Errors: `too_many_pins`, `bad_pin`. */
  with(pin: Pin): PinSet {
    checkPin(pin);
    const others = this.list().filter(({ tenant, dataset }) => {
      return tenant !== pin.tenant || dataset !== pin.dataset;
    });
    const { pinsMaxCount } = PLACEMENT_BOUNDS;
    if (others.length >= pinsMaxCount) {
      throw new HearthError("resource_exhausted", `There are ${others.length} pins already`, {
        reason: "too_many_pins",
        next: `At most ${pinsMaxCount} datasets can be pinned; hearth placement unpin makes room`,
      });
    }
    return new PinSet([...others, pin]);
  }

  without(tenant: string, dataset: string): PinSet {
    return new PinSet(
      this.list().filter((pin) => pin.tenant !== tenant || pin.dataset !== dataset),
    );
  }
}

/** How a pin stands in the rules. */
export function pinnedBalancing(pin: Pin): LoadBalancing | null {
  return pin.loadBalancing === null ? null : WIRE[pin.loadBalancing];
}

export function encodePins(pins: PinSet): Uint8Array {
  const text = JSON.stringify({ schema: SCHEMA, pins: pins.list() }, null, 2);
  return Buffer.from(`${text}\n`);
}

/** Errors: HearthError data_loss, `bad_placement_object`, when the bytes are no pins, or one of them makes no sense. */
export function decodePins(bytes: Uint8Array): PinSet {
  try {
    const { schema, pins } = JSON.parse(Buffer.from(bytes).toString("utf8")) as {
      schema?: unknown;
      pins?: unknown;
    };
    if (schema !== SCHEMA || !Array.isArray(pins)) throw new Error(`it is no ${SCHEMA}`);
    if (pins.length > PLACEMENT_BOUNDS.pinsMaxCount) throw new Error(`${pins.length} pins`);
    for (const pin of pins) checkPin(pin as Pin);
    return new PinSet(pins as Pin[]);
  } catch (error) {
    throw unreadablePins(error);
  }
}

function unreadablePins(cause: unknown): HearthError {
  const what = cause instanceof Error ? cause.message : String(cause);
  return new HearthError("data_loss", `Cannot read the pins of the placement: ${what}`, {
    reason: "bad_placement_object",
    next: "Correct or delete adaptive_placement/hearth_pins.json; until then the last good pins hold",
    cause,
  });
}

function checkPin(pin: Pin): void {
  const { pinShardsMax } = PLACEMENT_BOUNDS;
  const { tenant, dataset, shards, loadBalancing, pinnedAtMs } = pin;
  if (typeof tenant !== "string" || typeof dataset !== "string") throw badPin("it names nothing");
  if (tenant === "") throw badPin("its tenant is empty");
  if (!Number.isInteger(shards) || shards < 1 || shards > pinShardsMax)
    throw badPin(`shards are ${String(shards)}, allowed is 1 to ${pinShardsMax}`);
  if (loadBalancing !== null && !Object.hasOwn(WIRE, loadBalancing))
    throw badPin(`load balancing is ${JSON.stringify(loadBalancing)}`);
  if (!Number.isFinite(pinnedAtMs)) throw badPin("it has no time");
}

function badPin(what: string): HearthError {
  return new HearthError("invalid_argument", `Cannot pin a dataset: ${what}`, {
    reason: "bad_pin",
  });
}
