/** Checks the `tailKeys` of a shard: whatever its closed chunks hold must be found through them. */

import { type IndexDatabase, KeyBuffer, TAIL_KEYS } from "../../db/index.ts";
import type { ShardState } from "../index/shard-state.ts";
import type { Problems } from "./problems.ts";

/** A row of a closed chunk. */
export interface TailRow {
  readonly chunk: number;
  readonly key: number;
  readonly minMs: number;
  readonly maxMs: number;
}

export class TailKeysCheck {
  readonly #problems: Problems;
  readonly #place: string;
  readonly #hulls: Float64Array;
  /** Key -> bits of chunks. */
  readonly #chunks = new Map<number, number>();

  constructor(db: IndexDatabase, shard: ShardState, place: string, problems: Problems) {
    this.#problems = problems;
    this.#place = place;
    const length = db.get("tailKeys", new KeyBuffer(4).u32(0, shard.ordinal).bytes);
    problems.check(
      length > 0 === shard.tailChunks > 1,
      () => `${place} has ${shard.tailChunks} tail chunks and ${length} bytes of tail keys`,
    );
    this.#hulls = db.f64.slice(0, length < 0 ? 0 : TAIL_KEYS.headBytes / 8);
    let before = -1;
    for (let at = TAIL_KEYS.headBytes; at < length; at += 8) {
      const key = db.u32[at / 4] as number;
      problems.check(key > before, () => `${place} tail keys are out of order at ${key}`);
      before = key;
      this.#chunks.set(key, db.u32[at / 4 + 1] as number);
    }
  }

  check({ chunk, key, minMs, maxMs }: TailRow): void {
    const what = (): string => `${this.#place} tail keys miss key ${key} in chunk ${chunk}`;
    this.#problems.check((((this.#chunks.get(key) ?? 0) >>> chunk) & 1) === 1, what);
    const lowMs = this.#hulls[2 * chunk] ?? Number.NaN;
    const highMs = this.#hulls[2 * chunk + 1] ?? Number.NaN;
    this.#problems.check(
      lowMs <= Math.min(minMs, maxMs) && highMs >= Math.max(minMs, maxMs),
      () => `${this.#place} tail chunk ${chunk} is wider than its hull`,
    );
  }
}
