/**
 * Questions about the state machine that no client needs, but conformance tests do. JSON in, JSON out:
 *
 *   {"op":"tombstone_exists","tenant":"a","shard":1,"block":"01..."}   -> {"result":true}
 *   {"op":"list_tombstones","before":"2024-01-02T03:04:05Z"}           -> {"result":["name", ...]}
 *
 * `before` may also be given as Unix ms, as a number.
 */

import { HearthError } from "../base/index.ts";
import { decodeJsonMessage } from "../protocol/index.ts";

/** The state machine's own readers. Called inside a read transaction. */
export interface TombstonePort {
  exists(key: { tenant: string; shard: number; block: string }): boolean;
  /** Names of the tombstones recorded before this time, in order. */
  list(beforeMs: number): readonly string[];
}

export type InspectAnswer = boolean | readonly string[];

export class Inspector {
  readonly #tombstones: TombstonePort;

  constructor(tombstones: TombstonePort) {
    this.#tombstones = tombstones;
  }

  /** Checks the question; the result answers it, inside a read transaction. Errors: `invalid_argument`. */
  prepare(payload: Uint8Array): () => InspectAnswer {
    const question = parse(decodeJsonMessage(payload));
    switch (question.op) {
      case "tombstone_exists": {
        const tenant = text(question, "tenant");
        const shard = whole(question, "shard");
        const block = text(question, "block");
        return () => this.#tombstones.exists({ tenant, shard, block });
      }
      case "list_tombstones": {
        const beforeMs = instant(question, "before");
        return () => this.#tombstones.list(beforeMs);
      }
      default:
        throw refuse(`"op" is not known: ${JSON.stringify(question.op)?.slice(0, 64)}`);
    }
  }
}

type Question = Readonly<Record<string, unknown>>;

function parse(json: string): Question {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw refuse("it is not JSON").with({ cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Question;
  throw refuse("it is not a JSON object");
}

function text(question: Question, name: string): string {
  const value = question[name] ?? "";
  if (typeof value === "string") return value;
  throw refuse(`"${name}" must be a string`);
}

function whole(question: Question, name: string): number {
  const value = question[name] ?? 0;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff)
    return value;
  throw refuse(`"${name}" must be a whole number from 0 to 4294967295`);
}

function instant(question: Question, name: string): number {
  const value = question[name];
  const ms = typeof value === "string" ? Date.parse(value) : value;
  if (typeof ms === "number" && Number.isFinite(ms)) return ms;
  throw refuse(`"${name}" must be an RFC 3339 time or Unix milliseconds`);
}

function refuse(what: string): HearthError {
  return new HearthError("invalid_argument", `Cannot answer the question: ${what}`, {
    reason: "bad_inspect",
  });
}
